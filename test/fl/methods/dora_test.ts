import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import { DoraLinear } from "../../../src/federa/mod.ts";
import {
  aggregationError,
  clientDispersion,
  codecConfig,
  createCodec,
  f32Codec,
  federate,
  methods,
  simulate,
  subspaceAngles,
  uniformFleet,
  weightVariation,
} from "../../../src/fl/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { type ClientUpload, DrivenMethod } from "../../support/driven_method.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { played } from "../../support/simulated.ts";
import { PayloadParticipants } from "../../support/payload_participants.ts";
import { Random } from "../../support/random.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const targets = ["encoder.inner", "encoder.outer"];
const pretrained = tinyClassifier(gpu, { width: 7, inner: 5, seed: 7 });
const options = { targets, rank: 2, alpha: 3, svd: "exact", dora: true };
const train = tinyTask({ size: 30, length: 4, seed: 1 });
const take = [
  "central",
  "fedit",
  "federa",
  "federa-ffa",
  "federa-ro",
  "fedsa-lora",
  "ffa-lora",
  "local",
  "rolora",
];

test("methods that average factors take DoRA, and those that work with s·B·A refuse it, by name and with the reason", () => {
  const having = methodNames.filter((name) => "dora" in methods.get(name)!.definition.options.shape);
  const taking: string[] = [];
  for (const name of having) {
    const make = methods.get(name)! as (options: object) => unknown;
    try {
      make({ dora: true });
      taking.push(name);
    } catch (error) {
      assert.match(
        String(error),
        new RegExp(`make the method ${name}: dora: this method's server works with the change s·B·A`),
      );
    }
  }
  assert.deepEqual(taking.sort(), [...take].sort());
  assert.ok(["flexlora", "fedex-lora", "federa-exact", "flora"].every((name) => having.includes(name)));
});

test("clients send m beside the factors, and the server averages it linearly", async () => {
  for (const name of ["fedit", "federa", "ffa-lora"]) {
    const driven = await DrivenMethod.start(methodOn(name, options), pretrained);
    const magnitudes = targets.map((layer) => `${layer}.magnitude`);
    assert.ok(magnitudes.every((each) => driven.plan.trained.includes(each)), name);
    const random = new Random(2);
    const start = await Promise.all(
      [...driven.shared].map(async ([each, value]) => [each, await value.floats()] as const),
    );
    const uploads = [0, 1].map((): ClientUpload =>
      new Map(start.map(([each, values]) => [each, values.map((value) => value + random.normal())]))
    );
    await driven.aggregate(uploads, { shares: [0.25, 0.75] });
    for (const each of magnitudes) {
      const found = await driven.shared.get(each)!.floats();
      found.forEach((value, i) => {
        const expected = 0.25 * uploads[0]!.get(each)![i]! + 0.75 * uploads[1]!.get(each)![i]!;
        // Two products and a sum.
        assert.ok(Math.abs(value - expected) <= 4 * 2 ** -24 * (1 + Math.abs(expected)), `${name} ${each}`);
      });
    }
  }
});

function play(name: string, blockSize: number) {
  const run = simulate(pretrained, {
    method: methodOn(name, options),
    train,
    test: train,
    clients: randomClients(train.size, 4, 3),
    rounds: 2,
    blockSize,
    work: { steps: 2 },
    batchSize: 3,
    optimizer: { name: "adamw", weightDecay: 0.01 },
    learningRate: 0.05,
    evaluateEvery: 0,
    seed: 1,
    measures: [aggregationError, weightVariation, clientDispersion, subspaceAngles],
  });
  return played(run, pretrained, {
    onFinished(model) {
      assert.ok([...model.namedModules()].some(([, module]) => module instanceof DoraLinear));
    },
  });
}

test("a block of DoRA's clients is one at a time, to the bit; bytes are those of A, B, m and the head", async () => {
  const live = gpu.stats().liveBytes;
  for (const name of take.filter((each) => each !== "central")) {
    const [one, other] = [await play(name, 1), await play(name, 4)];
    assert.deepEqual(other.values, one.values, name);
    if (name !== "fedit") continue;
    const shapes: [string, number[]][] = [["head.output.weight", [3, 7]], ["head.output.bias", [3]]];
    for (const [layer, out, width] of [["encoder.inner", 5, 7], ["encoder.outer", 7, 5]] as const) {
      shapes.push([`${layer}.loraA`, [2, width]], [`${layer}.loraB`, [out, 2]], [`${layer}.magnitude`, [
        out,
      ]]);
    }
    for (const { bytesUp } of one.reports) assert.equal(bytesUp, 4 * f32Codec.payloadBytes(new Map(shapes)));
  }
  assert.equal(gpu.stats().liveBytes, live, "bytes alive afterwards");
});

test("DoRA's rounds from payload to payload are those of simulated blocks, to the bit, whatever the codec", async () => {
  for (const [name, codec] of [["fedit", "f32"], ["rolora", "int8"], ["fedsa-lora", "f16"]] as const) {
    const clients = randomClients(train.size, 5, 2);
    const shared = {
      method: methodOn(name, { ...options, start: "milora" }),
      train,
      clients,
      blockSize: 3,
      work: { steps: 2 },
      batchSize: 3,
      optimizer: { name: "adamw" } as const,
      learningRate: 0.05,
      seed: 4,
      codec: createCodec(codecConfig.parse(codec)),
    };
    const [rounds, clientsPerRound] = [3, 3];
    const simulated = await played(
      simulate(pretrained, { ...shared, test: train, rounds, clientsPerRound, evaluateEvery: 0 }),
      pretrained,
    );
    const fleet = uniformFleet(clients.map(({ length }) => length), { clientsPerRound, seed: 4 });
    const participants = new PayloadParticipants({ ...shared, pretrained });
    const { method, seed } = shared;
    const real = await played(
      federate(pretrained, { method, participants, fleet, rounds, seed }),
      pretrained,
    );
    assert.deepEqual(real.values, simulated.values, name);
  }
});

test("measures of DoRA are right, or null where the change would have to be s·B·A", async () => {
  const { reports } = await play("federa", 2);
  for (const { measures } of reports) {
    assert.equal(measures["aggregationError"], null);
    assert.equal(measures["appliedError"], null);
    assert.equal(measures["clientCosine"], null);
    assert.ok(measures["largestAngleA"]! > 0);
  }
  // Doubled lengths of rows are doubled lengths of columns, in no other direction, of whatever was there.
  const driven = await DrivenMethod.start(methodOn("fedit", options), pretrained);
  const before = driven.global;
  const doubled = new Map<string, Tensor>();
  for (const [name, each] of before.namedParameters()) {
    if (!name.endsWith(".magnitude")) continue;
    doubled.set(name, tensor(gpu, (await each.floats()).map((value) => 2 * value), { shape: each.shape }));
  }
  const after = before.mapParameters((name, each) => doubled.get(name) ?? each);
  const measure = weightVariation({ pretrained, initial: before });
  measure.begin(before);
  const figures = await measure.end(after);
  const layers = [...before.namedModules()].flatMap(([, module]) =>
    module instanceof DoraLinear ? [module] : []
  );
  let expected = 0;
  for (const layer of layers) {
    using weight = tidy(() => layer.effectiveWeight());
    const [out, width] = weight.shape as [number, number];
    const values = await weight.floats();
    for (let j = 0; j < width; j++) {
      const column = Array.from({ length: out }, (_, i) => values[i * width + j]!);
      expected += Math.hypot(...column) / width / layers.length;
    }
  }
  // From W to 2·W: some ten roundings of lengths of order 1.
  assert.ok(Math.abs(figures["magnitudeFromLastRound"]! - expected) <= 1e-6);
  assert.ok(Math.abs(figures["magnitudeFromPretrained"]! - expected) <= 1e-6);
  assert.ok(figures["directionFromLastRound"]! <= 1e-6);
});
