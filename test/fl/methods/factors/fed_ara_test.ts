import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor } from "../../../../src/engine/mod.ts";
import { adaptedLinears, exportLora, type TripletLinear } from "../../../../src/federa/mod.ts";
import { fedAra } from "../../../../src/fl/mod.ts";
import { chooseLargest } from "../../../../src/fl/methods/parts/scouting/choose_largest.ts";
import { f32Codec } from "../../../../src/fl/transport/float_codec.ts";
import { testGpu } from "../../../engine/harness.ts";
import { simulated } from "../../../support/simulated.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { diagonalClassifier, tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);

test("fedAra averages A, B and E apart and keeps the triplets that add most to the weight, worked by hand", async () => {
  const pretrained = diagonalClassifier(gpu);
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
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const targets = [layer, "encoder.outer"];
  const ranks: [number, number][] = [];
  // 2·4 triplets; after round t of two, 2 + 6·(1 − t/2)³ are left: 2.75 and 2.
  const { reports } = await simulated(pretrained, {
    method: fedAra({ targets, rank: 4, alpha: 8, finalRank: 1, warmupRounds: 0, pruningRounds: 2 }),
    learningRate: 0.05,
    onRound({ model }) {
      const all = new Map(model.namedParameters());
      ranks.push(targets.map((each) => all.get(`${each}.loraE`)!.size) as [number, number]);
    },
    async onFinished(model) {
      const { layers } = await exportLora(model, { pretrained });
      // s = 8/4 stays.
      assert.deepEqual([...layers.values()], [{ rank: 1, alpha: 2 }, { rank: 1, alpha: 2 }]);
    },
  });
  const bytesOf = ([inner, outer]: readonly [number, number]) =>
    3 * f32Codec.payloadBytes(
      new Map<string, number[]>([
        ["head.output.weight", [3, 6]],
        ["head.output.bias", [3]],
        ["encoder.inner.loraA", [inner, 6]],
        ["encoder.inner.loraB", [5, inner]],
        ["encoder.inner.loraE", [inner]],
        ["encoder.outer.loraA", [outer, 5]],
        ["encoder.outer.loraB", [6, outer]],
        ["encoder.outer.loraE", [outer]],
      ]),
    );
  assert.deepEqual(ranks.slice(0, 2).map(([inner, outer]) => inner + outer), [3, 2]);
  // What is sent in a round has the ranks after the one before.
  assert.deepEqual(
    reports.map(({ bytesUp }) => bytesUp),
    [[4, 4] as const, ...ranks.slice(0, 2)].map(bytesOf),
  );
});
