import assert from "node:assert/strict";
import { test } from "node:test";
import { labelsFor, readOutputs, regression } from "../../../src/tasks/mod.ts";
import { F64Array } from "../../reference/array.ts";
import * as reference from "../../reference/loss.ts";
import { assertClose } from "../../support/compare.ts";
import { FakeTokenizer } from "../../support/fake_tokenizer.ts";
import { evaluate, testGpu, upload } from "../../engine/harness.ts";

const gpu = await testGpu();
const task = regression();
const examples = [1.5, -2, 0].map((value) => ({ text: "a b", textPair: "c", value }));

test("regression() predicts the number of a text or a pair", () => {
  const tokenizer = new FakeTokenizer();
  const set = task.prepare(examples, tokenizer, { maxLength: 6 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data.subarray(0, 6)), "[ a b ] c ]");
  assert.deepEqual(set.targets, Float32Array.of(1.5, -2, 0));
  assert.deepEqual(readOutputs(task.predictor(set), set, Float32Array.of(1, 2, 3)), [{ value: 1 }, {
    value: 2,
  }, { value: 3 }]);
  assert.throws(
    () => task.prepare([...examples, { ...examples[0]!, value: 1e39 }], tokenizer, { maxLength: 6 }),
    {
      name: "RangeError",
      message: "Cannot use example 4: its value must be a finite float32, got 1e+39",
    },
  );
});

test("regression()'s losses and their gradients are the oracle's squares", async () => {
  const outputs = F64Array.fromF32([2, 2, 1], [3, -1, 0.25, 100]);
  const targets = F64Array.fromF32([2, 2, 1], [1, -1, 0.5, -100]);
  const { y, dy, gradients: [dx] } = await evaluate(
    gpu,
    (x) => task.losses(x, { targets: upload(gpu, targets), inputs: { attentionMask: upload(gpu, targets) } }),
    { inputs: [outputs] },
  );
  const options = { reduction: "none" } as const;
  // A difference, a square, two products: four roundings.
  assertClose(y, reference.mse(outputs, targets, options), { ulps: 4 });
  assertClose(dx!, reference.mseGradient(outputs, targets, dy, options), { ulps: 4 });
});

test("regression() is scored by correlations and the mean square", () => {
  const set = task.prepare(examples, new FakeTokenizer(), { maxLength: 6 });
  // Differences from the means: 10/6, -11/6, 1/6 against 2/3, -4/3, 2/3; ranks 3, 1, 2 against 2.5, 1, 2.5.
  const scores = readOutputs(task.scorer(set), set, Float32Array.of(3, 1, 3));
  assert.deepEqual(Object.keys(scores), task.metrics);
  const pearson = (20 + 44 + 2) / 18 / Math.sqrt((100 + 121 + 1) / 36 * (4 + 16 + 4) / 9);
  assertClose(Object.values(scores), [pearson, 1.5 / Math.sqrt(3), (2.25 + 9 + 9) / 3], { absolute: 1e-14 });
  // A model that says the same of every text tells nothing.
  assert.deepEqual(readOutputs(task.scorer(set), set, new Float32Array(3)), {
    pearson: 0,
    spearman: 0,
    meanSquaredError: (2.25 + 4) / 3,
  });
});

test("regression() predicts several numbers by their names", () => {
  const several = regression({ labels: ["valence", "arousal", "dominance"] });
  const set = several.prepare(
    [[0.1, 0.9, 0.4], [0.5, 0.2, 0.6], [0.8, 0.3, 0.1], [0.4, 0.4, 0.9]].map((value) => ({
      text: "a",
      value,
    })),
    new FakeTokenizer(),
    { maxLength: 6 },
  );
  assert.equal(set.targetsPerRow, 3);
  const outputs = Float32Array.of(0.2, 0.7, 0.3, 0.4, 0.1, 0.9, 0.6, 0.5, 0.2, 0.7, 0.2, 0.5);
  assert.deepEqual(readOutputs(several.predictor(set), set, outputs)[1], {
    values: { valence: Math.fround(0.4), arousal: Math.fround(0.1), dominance: Math.fround(0.9) },
  });
  // scikit-learn's mean_squared_error, and the means over the columns of SciPy's pearsonr and spearmanr.
  assertClose(Object.values(readOutputs(several.scorer(set), set, outputs)), [
    0.6749269883011962,
    0.6666666666666666,
    0.04583332724869282,
  ], { absolute: 1e-7 });
  const other = { text: "a", value: [1, 2] };
  assert.throws(() => several.prepare([other], new FakeTokenizer(), { maxLength: 6 }), {
    name: "RangeError",
    message: 'Cannot use example 1: expected 3 numbers, "valence", "arousal", "dominance", got 2',
  });
  assert.throws(() => task.prepare([other], new FakeTokenizer(), { maxLength: 6 }), {
    message: "Cannot use example 1: expected one number, got 2",
  });
});

test("regression()'s loss of several numbers is the mean over all, as PyTorch's MSELoss", async () => {
  const several = regression({ labels: ["a", "b", "c"] });
  const outputs = F64Array.fromF32([2, 3], [3, -1, 0.25, 100, 2, -4]);
  const targets = F64Array.fromF32([2, 3], [1, -1, 0.5, -100, 0, 1]);
  const { y } = await evaluate(
    gpu,
    (x) =>
      several.losses(x, { targets: upload(gpu, targets), inputs: { attentionMask: upload(gpu, targets) } }),
    { inputs: [outputs] },
  );
  // torch.nn.functional.mse_loss of the two.
  assertClose([y.reduce((sum, value) => sum + value, 0) / 6], [6672.17724609375], { relative: 1e-6 });
});

test("regression() asks of a text or a pair", () => {
  const several = regression({ labels: ["a", "b"] });
  assert.deepEqual(task.ask("a"), { text: "a", value: 0 });
  assert.deepEqual(several.ask("a", "b"), { text: "a", textPair: "b", value: [0, 0] });
});

test("regression() has one output, or several of different names", () => {
  assert.deepEqual(regression({ labels: ["similarity"] }).labels, ["similarity"]);
  assert.throws(() => regression({ labels: [] }), { name: "RangeError" });
  assert.throws(() => regression({ labels: ["a", "a"] }), { name: "TypeError" });
  assert.deepEqual(labelsFor("regression", examples), ["value"]);
  assert.deepEqual(labelsFor("regression", [{ text: "a", value: [1, 2] }]), ["value_0", "value_1"]);
});
