import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aggregationError,
  decodeRunState,
  disposeOwn,
  dpFedAvg,
  encodeRunState,
  fedIt,
  fedSaLora,
  flexLora,
  krum,
  type MeasureFactory,
  type Method,
  type RoundReport,
  scaffold,
  type SecureAggregationInput,
  simulate,
  type SimulationOptions,
  weightVariation,
} from "../../../../src/fl/mod.ts";
import { createCodec } from "../../../../src/fl/transport/codecs.ts";
import { bitsOf, testGpu } from "../../../engine/harness.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const pretrained = tinyClassifier(gpu);
const train = tinyTask({ size: 24 });
const adapters = { targets: ["encoder.inner"], rank: 2, alpha: 2 };
const method = fedIt(adapters);

interface Run {
  readonly reports: readonly RoundReport[];
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly saved: Uint8Array;
  readonly losses: readonly string[];
}

async function run(more: Partial<SimulationOptions>): Promise<Run> {
  const reports: RoundReport[] = [];
  const losses: string[] = [];
  let values = new Map<string, Float32Array>();
  let saved = new Uint8Array();
  const events = simulate(pretrained, {
    method,
    train,
    test: train,
    clients: randomClients(24, 5, 1),
    rounds: 2,
    blockSize: 2,
    work: { steps: 2 },
    batchSize: 2,
    optimizer: { name: "sgd" },
    learningRate: 0.5,
    evaluateEvery: 0,
    seed: 1,
    ...more,
  });
  for await (const event of events) {
    if (event.type === "client-lost") {
      losses.push(`${event.round} ${event.lost.client.id} ${event.lost.reason}`);
    }
    if (event.type === "round") {
      reports.push(event.report);
      saved = await encodeRunState(event.state);
      const read = [...event.model.namedParameters()].map(async ([name, each]) =>
        [name, await each.floats()] as const
      );
      values = new Map(await Promise.all(read));
    }
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
  return { reports, values, saved, losses };
}

function largestDifference(a: Run, b: Run): number {
  let largest = 0;
  for (const [name, values] of a.values) {
    const other = b.values.get(name)!;
    values.forEach((value, i) => largest = Math.max(largest, Math.abs(value - other[i]!)));
  }
  return largest;
}

const bits = ({ values }: Run) => [...values].map(([name, each]) => [name, [...bitsOf(each)]]);

test("a secure round gives the plain weighted mean to the error of quantization, whatever the blocks and the neighbours", async () => {
  const plain = await run({ rounds: 1 });
  const secure = await run({ rounds: 1, secureAggregation: {} });
  // n·2c/(Q·Σw): the weights are at least 1 in all, over the largest, and 5 clients make the sum. Beside it f32 rounding of values below 4.
  const bound = 5 * 16 / 2 ** 22 + 4 * 2 ** -23;
  const difference = largestDifference(plain, secure);
  assert.ok(difference > 0 && difference < bound, `${difference}`);
  for (const [blockSize, neighbors] of [[1, undefined], [5, 2], [2, 4]] as const) {
    const other = await run({
      rounds: 1,
      blockSize,
      secureAggregation: { threshold: 3, ...(neighbors && { neighbors }) },
    });
    assert.deepEqual(bits(other), bits(secure), `${blockSize} ${neighbors}`);
  }
  const coarse = await run({
    rounds: 1,
    secureAggregation: { quantizationRange: 2 ** 10, clippingRange: 1 },
  });
  const wide = largestDifference(plain, coarse);
  assert.ok(wide > bound && wide < 5 * 2 / 2 ** 10, `${wide}`);
  assert.deepEqual(secure.reports.map(({ measures }) => measures["clippedValues"]), [0]);
});

test("values beyond the clipping range are cut off, and the report says how many of all clients together", async () => {
  const { reports } = await run({ rounds: 1, secureAggregation: { clippingRange: 1e-4 } });
  assert.ok(reports[0]!.measures["clippedValues"]! > 5, JSON.stringify(reports[0]!.measures));
});

test("bytes are those of the messages: 4 for each value, and keys and shares for each pair", async () => {
  const { reports: [complete] } = await run({ rounds: 1, secureAggregation: {} });
  const { reports: [ring] } = await run({ rounds: 1, secureAggregation: { neighbors: 2 } });
  const { reports: [plain] } = await run({ rounds: 1 });
  // Shares go up for each ordered pair, 4 bytes of number and 94 of box; and back as two lists of 33 bytes a secret.
  const pairs = (k: number) => 5 * (k * (4 + 94) + (k + 1) * (4 + 33));
  assert.equal(complete!.bytesUp - ring!.bytesUp, pairs(4) - pairs(2));
  // The model goes down as before; what else goes down doesn't depend on its size.
  const down = (k: number) => 5 * ((k + 1) * 4 + (k + 1) * (4 + 64) + k * (4 + 94) + (k + 1) * 4);
  assert.equal(complete!.bytesDown - ring!.bytesDown, down(4) - down(2));
  assert.ok(complete!.bytesDown > plain!.bytesDown);
  const headers = complete!.bytesUp - pairs(4) - plain!.bytesUp;
  assert.ok(headers > 0 && headers < 5 * 1500, `${headers}`);
});

const losing: SecureAggregationInput = {
  threshold: 0.51,
  dropouts: { keys: 0.1, shares: 0.1, vector: 0.1, unmasking: 0.1 },
};

test("clients that are lost in any phase are left out or counted as the protocol does, named, and drawn by the seed", async () => {
  const first = await run({ rounds: 6, secureAggregation: losing });
  const again = await run({ rounds: 6, blockSize: 4, secureAggregation: losing });
  assert.deepEqual(bits(again), bits(first));
  assert.deepEqual(again.losses, first.losses);
  assert.ok(first.losses.length > 3, first.losses.join());
  for (const each of first.losses) {
    assert.match(each, /it was lost before it (sent its keys|shared its secrets|sent its masked upload)$/);
  }
  for (const { participants, lost } of first.reports) assert.equal(participants.length + lost.length, 5);
  const refused = await run({ rounds: 1, secureAggregation: { threshold: 5, dropouts: { unmasking: 0.5 } } });
  assert.match(
    refused.reports[0]!.refused!,
    /^Cannot add up uploads securely: after the stage of unmasking client 0 has [0-4] holders/,
  );
});

test("the aggregate is the mean of those whose uploads came, weighted among themselves", async () => {
  const uploads = new Map<number, Map<string, Promise<Float32Array>>>();
  const weights = new Map<number, number>();
  const spy: MeasureFactory = () => ({
    name: "spy",
    begin: () => {},
    add({ clients, values, shares }) {
      if (gpu.isRehearsing) return;
      clients.forEach(({ id }, member) => {
        weights.set(id, shares[member]!);
        uploads.set(
          id,
          new Map([...values].map(([name, each]) => [
            name,
            each.floats().then((all) => {
              const size = all.length / clients.length;
              return all.slice(member * size, (member + 1) * size);
            }),
          ])),
        );
      });
    },
    end: () => Promise.resolve({}),
    dispose: () => {},
  });
  const phases = new Set<string>();
  for (let seed = 1; seed <= 6; seed++) {
    uploads.clear();
    weights.clear();
    const { reports: [report], values, losses } = await run({
      rounds: 1,
      seed,
      secureAggregation: losing,
      measures: [spy],
    });
    if (report!.refused !== undefined) continue;
    for (const each of losses) phases.add(each.slice(4));
    const { participants } = report!;
    assert.deepEqual([...uploads.keys()].sort(), participants);
    const total = participants.reduce((sum, id) => sum + weights.get(id)!, 0);
    // The largest weight of the cohort is at most the whole. Beside it f32 rounding of values below 4.
    const bound = participants.length * 16 / 2 ** 22 / total + 4 * 2 ** -23;
    for (const name of uploads.get(participants[0]!)!.keys()) {
      const each = await Promise.all(participants.map((id) => uploads.get(id)!.get(name)!));
      values.get(name)!.forEach((value, i) => {
        const mean = participants.reduce((sum, id, k) => sum + weights.get(id)! * each[k]![i]!, 0) / total;
        assert.ok(Math.abs(value - mean) < bound, `${name} ${value} ${mean}`);
      });
    }
  }
  assert.ok(phases.size >= 2, [...phases].join());
});

test("with differential privacy the sum is the same to quantization, and what would get no noise isn't sent", async () => {
  const chosen = dpFedAvg(method, { clipNorm: 0.05, noiseMultiplier: 0.1, delta: 1e-5 });
  for (const sampling of ["uniform", "poisson"] as const) {
    const options = { method: chosen, sampling, clientsPerRound: 4, rounds: 3, measures: [] };
    const secure = await run({ ...options, secureAggregation: { threshold: 0.51 } });
    assert.deepEqual(secure.reports[0]!.measures, {});
    const cohorts = secure.reports.map(({ participants }) => participants.length);
    if (cohorts.some((each) => each > 0 && each < 3)) {
      assert.ok(
        secure.reports.some(({ refused }) => /^Cannot aggregate [12] clients securely/.test(refused ?? "")),
      );
    } else {
      // Rounding towards 0 of at most 5 clients in the first round.
      const first = await run({ ...options, rounds: 1, secureAggregation: { threshold: 0.51 } });
      const difference = largestDifference(await run({ ...options, rounds: 1 }), first);
      assert.ok(difference < 5 * 16 / 2 ** 22 / 4 + 4 * 2 ** -23, `${sampling} ${difference}`);
    }
  }
});

test("a refused round leaves the model and what clients keep as they were", async () => {
  const sgd = { method: scaffold(method), secureAggregation: { threshold: 5, dropouts: { unmasking: 0.5 } } };
  const { reports, saved } = await run({ ...sgd, rounds: 1 });
  assert.ok(reports[0]!.refused !== undefined);
  const { state } = decodeRunState(gpu, saved);
  assert.deepEqual(state.clients.clients, []);
});

test("a run that goes on from a saved round has the same bits, whatever keys were drawn", async () => {
  for (const chosen of [scaffold(method), fedSaLora(adapters)] as Method[]) {
    const options = { method: chosen, secureAggregation: losing };
    const whole = await run({ ...options, rounds: 3 });
    const { saved } = await run({ ...options, rounds: 1 });
    const rest = await run({ ...options, rounds: 3, resume: decodeRunState(gpu, saved).state });
    assert.deepEqual(bits(rest), bits(whole), chosen.name);
    assert.deepEqual(Buffer.compare(rest.saved, whole.saved), 0, chosen.name);
  }
});

test("simulate() refuses what can't go with secure aggregation, by name and before anything is trained", async () => {
  const secureAggregation = {};
  const cases: readonly [Partial<SimulationOptions>, RegExp][] = [
    [
      { method: flexLora(adapters) },
      /^Cannot run flexlora with secure aggregation: the server gets the sum alone/,
    ],
    [
      { codec: createCodec({ name: "int8" }) },
      /^Cannot run .*codec int8.*secure aggregation.*take codec f32/s,
    ],
    [{ codec: createCodec({ name: "topk", share: 0.1 }) }, /codec topk.*secure aggregation/s],
    [
      { aggregator: krum({ attackers: 1 }) },
      /^Cannot run secure aggregation with krum: the rule compares single uploads/,
    ],
    [
      { measures: [aggregationError] },
      /^Cannot measure aggregation-error with secure aggregation: it looks at/,
    ],
    [{ clientsPerRound: 2 }, /^Cannot aggregate 2 clients securely: the sum of fewer than 3/],
    [{ secureAggregation: { threshold: 2 } }, /more than half must be needed; expected from 3 to 5$/],
    [{ secureAggregation: { threshold: 6 } }, /expected from 3 to 5$/],
    [{ secureAggregation: { threshold: 0.3 } }, /^Cannot aggregate securely: threshold: /],
    [{ secureAggregation: { neighbors: 3 } }, /^Cannot aggregate securely: neighbors: /],
    [
      { secureAggregation: { quantizationRange: 2 ** 30 } },
      /^Cannot add up the uploads of 5 clients modulo 2\^32: .*lower quantizationRange to 536870912/,
    ],
  ];
  const live = gpu.stats().liveBytes;
  for (const [more, message] of cases) {
    await assert.rejects(run({ secureAggregation, ...more }), { message });
    assert.equal(gpu.stats().liveBytes, live);
  }
  assert.equal((await run({ rounds: 1, secureAggregation, measures: [weightVariation] })).reports.length, 1);
});
