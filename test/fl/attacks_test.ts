import assert from "node:assert/strict";
import { test } from "node:test";
import { disposeAll, type Tensor, tensor, tidy, zeros } from "../../src/engine/mod.ts";
import {
  type AggregatorFactory,
  type Attack,
  bulyan,
  createCodec,
  disposeOwn,
  drawAttackers,
  feDeRa,
  gaussianNoise,
  geometricMedian,
  krum,
  labelFlip,
  littleIsEnough,
  median,
  multiKrum,
  nonFinite,
  normBounding,
  type RoundReport,
  scaled,
  signFlip,
  simulate,
  type SimulationOptions,
  trimmedMean,
  wrongNames,
  wrongShape,
} from "../../src/fl/mod.ts";
import { largestShift } from "../../src/fl/attacks/little_is_enough.ts";
import { bitsOf, testGpu } from "../engine/harness.ts";
import { finishAggregation, openAggregation } from "../support/aggregation.ts";
import { assertClose } from "../support/compare.ts";
import { Random } from "../support/random.ts";
import { tinyClassifier, tinyTask } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 220, length: 4, seed: 1 });
const held = tinyTask({ size: 120, length: 4, seed: 2 });
const pretrained = tinyClassifier(gpu, { width: 12, inner: 8, seed: 7 });
const numClients = 11;
const clients = Array.from(
  { length: numClients },
  (_, k) => Array.from({ length: 20 }, (_, i) => 20 * k + i),
);
const defaults: SimulationOptions = {
  method: feDeRa({ targets: ["encoder.inner", "encoder.outer"], rank: 4, alpha: 4, svd: "exact" }),
  train,
  test: held,
  clients,
  rounds: 8,
  blockSize: numClients,
  work: { steps: 5 },
  batchSize: 8,
  optimizer: { name: "adamw" },
  learningRate: 0.03,
  evaluateEvery: 8,
  seed: 3,
};
/** Two of eleven. */
const share = 0.2;
const hostile = drawAttackers({ share, numClients, seed: 3 });

interface RunResult {
  readonly accuracy: number;
  readonly reports: readonly RoundReport[];
  readonly reasons: readonly string[];
  readonly bits: readonly unknown[];
}

async function run(options: Partial<SimulationOptions>): Promise<RunResult> {
  const reports: RoundReport[] = [];
  const reasons: string[] = [];
  let bits: unknown[] = [];
  for await (const event of simulate(pretrained, { ...defaults, ...options })) {
    if (event.type === "round") reports.push(event.report);
    if (event.type === "client-lost") reasons.push(event.lost.reason);
    if (event.type === "finished") {
      bits = await Promise.all(
        [...event.model.namedParameters()].map(async ([, each]) => [...bitsOf(await each.floats())]),
      );
      disposeOwn(event.model, pretrained);
    }
  }
  return { accuracy: reports.at(-1)?.test?.scores["accuracy"] ?? NaN, reports, reasons, bits };
}

test("drawAttackers() draws a share of the clients by the seed, the same for a whole run", () => {
  assert.equal(hostile.length, 2);
  assert.deepEqual(drawAttackers({ share, numClients, seed: 3 }), hostile);
  assert.throws(
    () => drawAttackers({ share: 0.01, numClients: 10, seed: 1 }),
    /share of 0.01 of 10 clients hostile/,
  );
});

test("attacks change uploads as they say: numbers worked by hand", async () => {
  const start = new Map([["a", tensor(gpu, [1, 2])]]);
  const honest = new Map([["a", tensor(gpu, [2, 4, 4, 0], { shape: [2, 2] })]]);
  const context = {
    round: 1,
    seed: 1,
    cohort: 10,
    start,
    clients: [3, 7].map((id) => ({ id, numExamples: 1, lastRound: 0 })),
  };
  const sent = async (attack: Attack) => {
    const values = tidy(() => attack.upload!(honest, context));
    const read = [...await values.get("a")!.floats()];
    disposeAll([...values.values()].filter((each: Tensor) => each !== honest.get("a")));
    return read;
  };
  // Changes (1, 2) and (3, −2).
  assert.deepEqual(await sent(signFlip({ factor: 2 })), [-1, -2, -5, 6]);
  assert.deepEqual(await sent(scaled({ factor: 10 })), [11, 22, 31, -18]);
  // Means 2 and 0, deviations 1 and 2: both send (1 + 2 − 0.5, 2 + 0 − 1).
  assertClose(await sent(littleIsEnough({ z: 0.5 })), [2.5, 1, 2.5, 1], { absolute: 1e-6 });
  const noise = await sent(gaussianNoise({ deviation: 3 }));
  assert.deepEqual(await sent(gaussianNoise({ deviation: 3 })), noise);
  assert.equal(new Set(noise).size, 4);
  assert.ok((await sent(nonFinite())).every(Number.isNaN));
  disposeAll([...start.values(), ...honest.values()]);
});

test("a-little-is-enough takes the paper's z: 50 clients of whom 12 attack have (38 − 14)/38 = Φ(0.3360)", () => {
  // Φ⁻¹(24/38) by scipy.stats.norm.ppf.
  assert.ok(Math.abs(largestShift(50, 12) - 0.33603814) < 1e-5);
  assert.equal(largestShift(10, 2), 0);
});

test("labels are flipped for hostile clients alone, and classes are needed", () => {
  const flipped = labelFlip().poison!(train, pretrained.task);
  assert.deepEqual([...flipped.targets], [...train.targets].map((each) => 2 - each));
  assert.throws(
    () => labelFlip().poison!(train, { ...pretrained.task, kind: "question-answering" }),
    /Cannot flip the labels of question-answering: expected classes/,
  );
});

test("an attack gives the same bits whatever the blocks, with any codec, and frees all", async () => {
  const before = gpu.stats().liveBytes;
  const cases = [[littleIsEnough({ z: 1 }), "int8"], [labelFlip(), "f32"], [gaussianNoise(), "f32"]] as const;
  for (const [attack, codec] of cases) {
    const options = {
      attackers: { share, attack },
      codec: createCodec({ name: codec }),
      rounds: 1,
      work: { steps: 1 },
      aggregator: median(),
    };
    const wanted = await run({ ...options, blockSize: 1 });
    for (const blockSize of [3, 11]) {
      assert.deepEqual((await run({ ...options, blockSize })).bits, wanted.bits, `${attack.name}, ${codec}`);
    }
  }
  assert.equal(gpu.stats().liveBytes, before);
});

test("uploads of hostile clients that can't be used are refused by name, and the round goes on without them", async () => {
  const options = { rounds: 2, work: { steps: 1 } };
  const refused: readonly (readonly [Attack, RegExp])[] = [
    [nonFinite(), /^its .+ holds NaN at element 0$/],
    [nonFinite({ value: "infinity" }), /^its .+ holds Infinity at element 0$/],
    [wrongShape(), /^its .+ must have shape \[.+\], got \[.+, 1\]$/],
    [wrongNames(), /^it sent .+\.renamed, which it wasn't asked for$/],
  ];
  let bits: unknown;
  for (const [attack, reason] of refused) {
    const found = await run({ ...options, attackers: { share, attack } });
    assert.deepEqual(found.reports.map(({ lost }) => lost), [hostile, hostile], attack.name);
    assert.equal(found.reasons.length, 4);
    for (const each of found.reasons) assert.match(each, reason);
    bits ??= found.bits;
    assert.deepEqual(found.bits, bits, "as if they had been lost in any other way");
  }
});

/** Rules that withstand 2 of 11. */
const rules: Readonly<Record<string, AggregatorFactory | undefined>> = {
  mean: undefined,
  median: median(),
  "trimmed-mean": trimmedMean({ share: 0.2 }),
  krum: krum({ attackers: 2 }),
  "multi-krum": multiKrum({ attackers: 2 }),
  bulyan: bulyan({ attackers: 2 }),
  "geometric-median": geometricMedian({ iterations: 10 }),
  "norm-bounding": normBounding(),
};

const attacks: readonly Attack[] = [
  signFlip({ factor: 30 }),
  scaled({ factor: 1000 }),
  gaussianNoise({ deviation: 30 }),
  labelFlip(),
  // From two attackers' deviations; the paper's z of 0 for 2 of 11 does nothing.
  littleIsEnough({ z: 60 }),
];

test("Krum doesn't withstand a little: it takes the attackers' common upload for the most honest one", async () => {
  const random = new Random(5);
  const width = 200;
  const honest = Array.from({ length: 9 }, () => Array.from({ length: width }, () => random.normal()));
  // Half a deviation beside the mean in every value.
  const malicious = new Array<number>(width).fill(-0.5);
  const rows = [...honest, malicious, malicious];
  const aggregation = openAggregation(krum({ attackers: 2 }), 11, {
    start: new Map([["a", zeros(gpu, [width])]]),
  });
  const values = tensor(gpu, Float32Array.from(rows.flat()), { shape: [11, width] });
  const weights = tensor(gpu, rows.map(() => 1 / 11));
  aggregation.add({
    clients: rows.map((_, id) => ({ id, numExamples: 1, lastRound: 0 })),
    values: new Map([["a", values]]),
    shares: rows.map(() => 1 / 11),
    weights,
  });
  const { values: chosen } = await finishAggregation(aggregation);
  assert.deepEqual([...await chosen.get("a")!.floats()], malicious);
  aggregation.dispose();
  disposeAll([...chosen.values(), values, weights]);
});

test("with 2 hostile clients of 11 the mean fails and robust rules hold", async (t) => {
  const lines: string[] = [];
  const accuracies = new Map<string, number>();
  for (const [name, aggregator] of Object.entries(rules)) {
    const { accuracy } = await run({ aggregator });
    accuracies.set(`${name} none`, accuracy);
    const found = [accuracy];
    for (const attack of attacks) {
      const attacked = await run({ aggregator, attackers: { share, attack } });
      accuracies.set(`${name} ${attack.name}`, attacked.accuracy);
      found.push(attacked.accuracy);
    }
    lines.push(`${name.padEnd(17)} ${found.map((each) => each.toFixed(3)).join("  ")}`);
  }
  t.diagnostic(`accuracy without attack, then by ${attacks.map(({ name }) => name).join(", ")}`);
  for (const line of lines) t.diagnostic(line);
  for (const [name] of Object.entries(rules)) {
    for (const { name: attack } of attacks) {
      const [plain, attacked] = ["none", attack].map((each) => accuracies.get(`${name} ${each}`)!);
      // Two of eleven who learn classes backwards don't outvote the mean on three classes.
      const fails = name === "mean" && attack !== "label-flip";
      if (fails) assert.ok(attacked! < plain! - 0.2, `the mean holds against ${attack}: ${attacked}`);
      else assert.ok(attacked! > plain! - 0.1, `${name} fails against ${attack}: ${attacked} for ${plain}`);
    }
  }
});
