import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Tensor, tensor, tidy } from "../../../../src/engine/mod.ts";
import { adaptersOf } from "../../../../src/federa/mod.ts";
import { averaging, fedAvgM, fedNova, type Method, scaffold, sLora } from "../../../../src/fl/mod.ts";
import { isHead, withOwnParameters } from "../../../../src/fl/method.ts";
import { SparseEntries } from "../../../../src/fl/methods/parts/local/sparse_entries.ts";
import type { TaskModel } from "../../../../src/tasks/mod.ts";
import { bitsOf, holds, testGpu } from "../../../engine/harness.ts";
import { simulated, valuesOf } from "../../../support/simulated.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { diagonalClassifier, tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const targets = ["encoder.inner", "encoder.outer"];

const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);

test("sLora averages changes of the weights' entries, then goes on from the SVD of what was learnt, worked by hand", async () => {
  const pretrained = diagonalClassifier(gpu);
  // s = 4; a density of 1 is every entry.
  const method = sLora({ targets: [layer], rank: 1, alpha: 4, sparseRounds: 2, density: 1, svd: "exact" });
  const driven = await DrivenMethod.start(method, pretrained);
  const head: [string, number[]][] = [["head.output.weight", [0, 0, 0, 0]], ["head.output.bias", [0, 0]]];
  const shares = [0.75, 0.25];
  const shapes = new Map([[`${layer}.changes`, [2, 2]]]);
  const play = (...changes: number[][]) =>
    driven.aggregate(changes.map((own) => new Map([...head, [`${layer}.changes`, own]])), { shares, shapes });
  const adapter = () => adaptersOf(driven.global).get(layer)!;
  const download = (lastRound: number) =>
    [...driven.plan.download!({ id: 0, numExamples: 1, lastRound }).keys()].sort();
  const heads = ["head.output.bias", "head.output.weight"];

  assert.deepEqual([...driven.shared.keys()].sort(), [`${layer}.weight`, ...heads].sort());
  // diag(4, 1) + ¾·[0 4; 0 0] + ¼·[0 0; 4 0].
  await play([0, 4, 0, 0], [0, 0, 4, 0]);
  assert.deepEqual(await values(adapter().effectiveWeight()), [4, 3, 1, 1]);
  for (const lastRound of [0, 1]) {
    assert.deepEqual(download(lastRound), [`${layer}.entries`, ...heads].sort());
  }
  const sent = driven.plan.download!({ id: 0, numExamples: 1, lastRound: 1 }).get(
    `${layer}.entries`,
  ) as Tensor;
  assert.deepEqual(await values(sent), [4, 3, 1, 1]);

  // ΔW = [0 3; 1 0] + ¾·[0 16; 0 0] + ¼·[0 4; 0 0] = [0 16; 1 0], of the triplet 16, e₁, e₂: B = e₁·√(16/4), A = √(16/4)·e₂ᵀ.
  await play([0, 16, 0, 0], [0, 4, 0, 0]);
  assert.deepEqual(await values(adapter().weight), [4, 0, 0, 1], "the pretrained weight is back");
  assert.deepEqual(await values(adapter().loraA), [0, 2]);
  assert.deepEqual(await values(adapter().loraB), [2, 0]);
  assert.deepEqual(await values(adapter().effectiveWeight()), [4, 16, 0, 1]);

  // Whoever was there in the sparse stage gets the pretrained entries back, beside the factors.
  const factors = [`${layer}.loraA`, `${layer}.loraB`];
  assert.deepEqual(download(0), [...factors, ...heads].sort());
  for (const lastRound of [1, 2]) {
    assert.deepEqual(download(lastRound), [`${layer}.entries`, ...factors, ...heads].sort());
  }
  const back = driven.plan.download!({ id: 0, numExamples: 1, lastRound: 2 }).get(
    `${layer}.entries`,
  ) as Tensor;
  assert.deepEqual(await values(back), [4, 0, 0, 1]);

  // Averaging of A and B: Ā = ¾·[1 1] + ¼·[5 1], B̄ = ¾·[1 0]ᵀ + ¼·[1 4]ᵀ.
  const third = ([a, b]: number[][]) => new Map([...head, [`${layer}.loraA`, a!], [`${layer}.loraB`, b!]]);
  await driven.aggregate([third([[1, 1], [1, 0]]), third([[5, 1], [1, 4]])], { shares });
  assert.deepEqual(await values(adapter().effectiveWeight()), [12, 4, 8, 5]);
  assert.deepEqual(download(3), [...factors, ...heads].sort());
});

/** The end of some rounds, and the bytes that went up in the last one. */
async function final(method: Method, rounds: number, pretrained: TaskModel) {
  const { reports, values } = await simulated(pretrained, {
    method,
    rounds,
    blockSize: 3,
    work: { steps: 3 },
  });
  return { model: values, bytesUp: reports.at(-1)!.bytesUp };
}

const weightNames = targets.map((each) => `${each}.weight`);

test("the sparse stage of sLora moves its entries alone, to the bit, and sends nothing but their values", async () => {
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const before = await valuesOf(pretrained);
  // Two of six columns, and two of five.
  const { model, bytesUp } = await final(sLora({ targets, rank: 1, density: 0.4 }), 3, pretrained);
  for (const name of weightNames) {
    const [is, was] = [model.get(name)!, before.get(name)!];
    const width = name.includes("inner") ? 6 : 5;
    for (let row = 0; row < is.length / width; row++) {
      const moved = is.slice(row * width, (row + 1) * width).filter((value, i) =>
        value !== was[row * width + i]
      );
      assert.equal(moved.length, 2, `${name}, row ${row}`);
    }
  }
  const dense = await final(sLora({ targets, rank: 1, density: 1 }), 1, pretrained);
  // f32 of three clients: 5×6 + 6×5 values, of which 5×2 + 6×2 are sent; headers take multiples of 8.
  assert.ok(Math.abs(dense.bytesUp - bytesUp - 3 * 4 * (60 - 22)) <= 3 * 8, `${bytesUp}, ${dense.bytesUp}`);
});

test("sLora with a density of 1 is full averaging of those weights and the head", async () => {
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const isTrained = (name: string) => isHead(name) || weightNames.includes(name);
  const full = averaging({
    name: "some weights",
    check: () => {},
    start: (model) => Promise.resolve(withOwnParameters(model, isTrained)),
    isTrained,
  });
  const sparse = await final(sLora({ targets, rank: 1, density: 1 }), 2, pretrained);
  const wanted = await final(full, 2, pretrained);
  for (const [name, expected] of wanted.model) {
    // Changes are averaged instead of values: 3 roundings of u = 2⁻²⁴ each of values below 2 a round. Adam's first steps are lr·sign(g) and
    // pass such differences on unchanged where g isn't near 0; 2⁻¹⁸ is 64·u, far below a step of 0.01.
    sparse.model.get(name)!.forEach((value, i) =>
      assert.ok(Math.abs(value - expected[i]!) <= 2 ** -18, `${name}: ${value}, ${expected[i]}`)
    );
  }
});

test("SparseEntries draws as many columns in each row by the seed, and takes values out and puts them back to the bit", () =>
  holds(
    fc.record({
      out: fc.integer({ min: 1, max: 9 }),
      width: fc.constantFrom(1, 2, 7, 64, 67),
      members: fc.integer({ min: 1, max: 3 }),
      density: fc.double({ min: 1e-6, max: 1, noNaN: true }),
      seed: fc.nat(),
    }),
    async ({ out, width, members, density, seed }) => {
      const entries = new SparseEntries([out, width], { density, seed, layer: "x" });
      const perRow = Math.max(1, Math.round(density * width));
      const data = Float32Array.from({ length: members * out * width }, (_, i) => i + 1);
      const x = tensor(gpu, data, { shape: [members, out, width] });
      const found = await values(entries.valuesOf(x));
      assert.equal(found.length, members * out * perRow);
      const columns = found.slice(0, out * perRow).map((value) => (value - 1) % width);
      found.forEach((value, i) => {
        const [member, at] = [Math.floor(i / (out * perRow)), i % (out * perRow)];
        assert.equal(value, (member * out + Math.floor(at / perRow)) * width + columns[at]! + 1);
        assert.ok(at % perRow === 0 || columns[at]! > columns[at - 1]!, "distinct, in order");
      });
      // All but its entries are zeroed, for each member alike.
      entries.keepOnly(x);
      const kept = await values(x);
      assert.deepEqual(kept, Array.from(data, (value) => found.includes(value) ? value : 0));
      const own = tensor(gpu, found.slice(0, out * perRow), { shape: [out, perRow] });
      const zero = tensor(gpu, new Float32Array(out * width).fill(-1), { shape: [out, width] });
      const first = kept.slice(0, out * width);
      assert.deepEqual(await values(entries.matrixOf(own)), first);
      assert.deepEqual(
        await values(entries.replaced(zero, own)),
        first.map((value) => value === 0 ? -1 : value),
      );
      const again = new SparseEntries([out, width], { density, seed, layer: "x" });
      assert.deepEqual(
        bitsOf(await tidy(() => again.valuesOf(x)).floats()),
        bitsOf(Float32Array.from(found)),
      );
    },
    20,
  ));

test("SparseEntries draws others for another layer or seed", async () => {
  const x = tensor(gpu, Float32Array.from({ length: 640 }, (_, i) => i), { shape: [10, 64] });
  const drawn = (layer: string, seed: number) =>
    values(new SparseEntries([10, 64], { density: 0.1, seed, layer }).valuesOf(x));
  const first = await drawn("a", 1);
  assert.notDeepEqual(await drawn("b", 1), first);
  assert.notDeepEqual(await drawn("a", 2), first);
});

test("sLora refuses weight decay, algorithms that work on values, and to go on where nobody ended the sparse stage", async () => {
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const method = sLora({ targets, rank: 1, sparseRounds: 1 });
  assert.throws(() => method.checkTraining!({ optimizer: { name: "adamw", weightDecay: 0.01 } }), {
    name: "TypeError",
    message: /Cannot run slora with weight decay/,
  });
  method.checkTraining!({ optimizer: { name: "adamw" } });
  for (const over of [fedNova, scaffold, fedAvgM]) {
    assert.throws(() => over(method).check(pretrained), {
      name: "TypeError",
      message: /Cannot put \w+ over slora/,
    });
  }
  const driven = await DrivenMethod.start(method, pretrained);
  driven.round = 1;
  assert.throws(() => driven.plan.download!({ id: 0, numExamples: 1, lastRound: 0 }), {
    name: "RangeError",
    message: /nobody came through in round 1, which ends the sparse stage/,
  });
});
