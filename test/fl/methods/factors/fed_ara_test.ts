import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, type Tensor, tensor } from "../../../../src/engine/mod.ts";
import { adaptedLinears, exportLora, type TripletLinear } from "../../../../src/federa/mod.ts";
import { fedAra, simulate } from "../../../../src/fl/mod.ts";
import { chooseLargest } from "../../../../src/fl/methods/parts/scouting/choose_largest.ts";
import { disposeOwn } from "../../../../src/fl/own_parameters.ts";
import { f32Codec } from "../../../../src/fl/transport/float_codec.ts";
import { testGpu } from "../../../engine/harness.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);

test("fedAra averages A, B and E apart and keeps the triplets that add most to the weight, worked by hand", async () => {
  const pretrained = tinyClassifier(gpu, { width: 2, inner: 2, classes: 2 });
  assign(
    new Map(pretrained.namedParameters()).get(`${layer}.weight`)!,
    tensor(gpu, [4, 0, 0, 1], { shape: [2, 2] }),
  );
  // s = 4/2, and after one round one triplet is left.
  const method = fedAra({
    targets: [layer],
    rank: 2,
    alpha: 4,
    finalRank: 1,
    warmupRounds: 0,
    pruningRounds: 1,
  });
  const driven = await DrivenMethod.start(method, pretrained);
  const own = () => adaptedLinears(driven.global).get(layer) as TripletLinear;
  assert.deepEqual(
    await values(own().effectiveWeight()),
    [4, 0, 0, 1],
    "E = 0: the pretrained weight, to the bit",
  );
  const head: [string, number[]][] = [["head.output.weight", [0, 0, 0, 0]], ["head.output.bias", [0, 0]]];
  const upload = (a: number[], b: number[], e: number[]) =>
    new Map([...head, [`${layer}.loraA`, a], [`${layer}.loraB`, b], [`${layer}.loraE`, e]]);
  // Means: A = I, B = I, E = (3, −5), of sizes 3 and 5.
  await driven.aggregate([
    upload([1, 0, 0, 2], [1, 1, 0, 1], [4, -4]),
    upload([1, 0, 0, -2], [1, -3, 0, 1], [0, -8]),
  ], {
    shares: [0.75, 0.25],
  });
  assert.deepEqual(own().loraA.shape, [1, 2]);
  assert.deepEqual(await values(own().loraE), [-5]);
  // diag(4, 1) − 2·5·e₂·e₂ᵀ.
  assert.deepEqual(await values(own().effectiveWeight()), [4, 0, 0, -9]);
  const sent = driven.plan.download!({ id: 0, numExamples: 1, lastRound: 1 });
  assert.deepEqual(
    [...sent].filter(([name]) => name.startsWith(layer)).map(([name, { shape }]) => [name, shape]),
    [
      [`${layer}.leftA`, [1, 2]],
      [`${layer}.leftB`, [2, 1]],
      [`${layer}.leftE`, [1]],
    ],
  );
});

test("chooseLargest() keeps each layer's best and of all others the best, the first of equal ones", () => {
  const layers = [
    { layer: "a", scores: Float32Array.of(5, 9, 7, 7) },
    { layer: "b", scores: Float32Array.of(0, 1, 1, 0) },
  ];
  const places = (count: number) => Object.fromEntries(chooseLargest(layers, count));
  assert.deepEqual(places(0), { a: [1], b: [1] });
  assert.deepEqual(places(3), { a: [1, 2], b: [1] });
  assert.deepEqual(places(4), { a: [1, 2, 3], b: [1] });
  assert.deepEqual(places(8), { a: [0, 1, 2, 3], b: [0, 1, 2, 3] });
});

test("what fedAra sends shrinks by its schedule, and the rest is exported as LoRA of its ranks", async () => {
  const train = tinyTask({ size: 40, length: 4, seed: 1 });
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const targets = [layer, "encoder.outer"];
  const sent: number[] = [];
  const ranks: number[] = [];
  // 2·4 triplets; after round t of two, 2 + 6·(1 − t/2)³ are left: 2.75 and 2.
  for await (
    const event of simulate(pretrained, {
      method: fedAra({ targets, rank: 4, alpha: 8, finalRank: 1, warmupRounds: 0, pruningRounds: 2 }),
      train,
      test: train,
      clients: randomClients(train.size, 3, 1),
      rounds: 3,
      blockSize: 2,
      work: { steps: 2 },
      batchSize: 4,
      optimizer: { name: "adamw" },
      learningRate: 0.05,
      seed: 3,
      evaluateEvery: 0,
    })
  ) {
    if (event.type === "round") {
      sent.push(event.report.bytesUp);
      const parameters = new Map(event.model.namedParameters());
      ranks.push(...targets.map((each) => parameters.get(`${each}.loraE`)!.size));
    }
    if (event.type !== "finished") continue;
    const shapesOf = (own: readonly number[]) =>
      new Map([
        ...[...event.model.namedParameters()].filter(([name]) => name.startsWith("head."))
          .map(([name, { shape }]) => [name, shape] as const),
        ...targets.flatMap((each, i) => {
          const [out, width] = i === 0 ? [5, 6] : [6, 5];
          return [
            [`${each}.loraA`, [own[i]!, width!]],
            [`${each}.loraB`, [out!, own[i]!]],
            [`${each}.loraE`, [own[i]!]],
          ] as [string, number[]][];
        }),
      ]);
    assert.deepEqual([ranks[0]! + ranks[1]!, ranks[2]! + ranks[3]!], [3, 2]);
    assert.deepEqual(
      sent,
      [[4, 4], ranks.slice(0, 2), ranks.slice(2, 4)].map((each) => 3 * f32Codec.payloadBytes(shapesOf(each))),
    );
    const { layers } = await exportLora(event.model, { pretrained });
    // s = 8/4 stays.
    assert.deepEqual([...layers.values()], [{ rank: 1, alpha: 2 }, { rank: 1, alpha: 2 }]);
    disposeOwn(event.model, pretrained);
  }
  assert.equal(sent.length, 3);
});
