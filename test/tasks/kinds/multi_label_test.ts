import assert from "node:assert/strict";
import { test } from "node:test";
import { multiLabelClassification, readOutputs } from "../../../src/tasks/mod.ts";
import { F64Array } from "../../reference/array.ts";
import * as reference from "../../reference/loss.ts";
import { assertClose } from "../../support/compare.ts";
import { FakeTokenizer } from "../../support/fake_tokenizer.ts";
import { evaluate, testGpu, upload } from "../../engine/harness.ts";

const gpu = await testGpu();
const labels = ["news", "sport", "tech"];
const task = multiLabelClassification({ labels });
const examples = [
  { text: "ab", labels: ["tech", "news"] },
  { text: "cd", labels: [] },
  { text: "ef", labels: ["sport", "sport"] },
];

test("multiLabelClassification() gives every text a 0 or 1 for each label", () => {
  const set = task.prepare(examples, new FakeTokenizer(), { maxLength: 3 });
  assert.deepEqual(set.targets, Float32Array.of(1, 0, 1, 0, 0, 0, 0, 1, 0));
  assert.equal(set.targetsPerRow, 3);
  const unknown = [...examples, { text: "", labels: ["news", "art"] }];
  assert.throws(() => task.prepare(unknown, new FakeTokenizer(), { maxLength: 3 }), {
    name: "RangeError",
    message:
      'Cannot use example 4: its label "art" is unknown to the head, which has "news", "sport", "tech"',
  });
});

test("multiLabelClassification()'s losses and their gradients are the oracle's binary cross-entropy", async () => {
  const logits = F64Array.fromF32([2, 2, 3], [3, -1, 2, 0, 0, 100, -90, 2, 3, -4, 4, 0.5]);
  const targets = F64Array.from([2, 2, 3], [1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0]);
  const { y, dy, gradients: [dx] } = await evaluate(
    gpu,
    (outputs) =>
      task.losses(outputs, {
        targets: upload(gpu, targets),
        inputs: { attentionMask: upload(gpu, targets) },
      }),
    { inputs: [logits] },
  );
  const options = { reduction: "none" } as const;
  // A few roundings of 6e-8 of losses up to 100, and exponentials off by 2e-7.
  const tolerance = { absolute: 2e-6, relative: 3e-7 };
  assertClose(y, reference.binaryCrossEntropyWithLogits(logits, targets, options), tolerance);
  assertClose(dx!, reference.binaryCrossEntropyWithLogitsGradient(logits, targets, dy, options), tolerance);
});

test("multiLabelClassification() predicts the labels whose probability reaches the threshold", () => {
  const set = task.prepare(examples, new FakeTokenizer(), { maxLength: 3 });
  const odds = (share: number) => Math.log(share / (1 - share));
  const outputs = Float32Array.of(odds(0.9), -1, 0, -0.1, -3, -1000, odds(0.7), 5, 1000);
  const predictions = readOutputs(task.predictor(set), set, outputs);
  assert.deepEqual(predictions.map((each) => each.labels), [["news", "tech"], [], labels]);
  assertClose(Object.values(predictions[0]!.probabilities), [0.9, 1 / (1 + Math.E), 0.5], { absolute: 1e-7 });
  assert.deepEqual(Object.keys(predictions[0]!.probabilities), labels);
  // TP 3, FP 2: 6/8. news 2·1/3, sport 1, tech 2·1/3. Two texts of three are right.
  const scores = readOutputs(task.scorer(set), set, outputs);
  assert.deepEqual(Object.keys(scores), task.metrics);
  assertClose(Object.values(scores), [6 / 8, (2 / 3 + 1 + 2 / 3) / 3, 2 / 3], { absolute: 1e-15 });
  const strict = multiLabelClassification({ labels, threshold: 0.8 });
  assert.deepEqual(readOutputs(strict.predictor(set), set, outputs).map((each) => each.labels), [
    ["news"],
    [],
    [
      "sport",
      "tech",
    ],
  ]);
});

test("multiLabelClassification() asks of a text or a pair, also whether one label applies", () => {
  const one = multiLabelClassification({ labels: ["urgent"] });
  assert.deepEqual(one.ask("a"), { text: "a", labels: [] });
  assert.deepEqual(one.ask("a", "b"), { text: "a", textPair: "b", labels: [] });
  const set = one.prepare([one.ask("a"), one.ask("b")], new FakeTokenizer(), { maxLength: 3 });
  assert.deepEqual(readOutputs(one.predictor(set), set, Float32Array.of(1, -1)).map((each) => each.labels), [[
    "urgent",
  ], []]);
});

test("multiLabelClassification() refuses thresholds and labels that make no sense", () => {
  for (const threshold of [0, 1, NaN]) {
    assert.throws(() => multiLabelClassification({ labels, threshold }), {
      name: "RangeError",
      message: /threshold/,
    });
  }
  assert.throws(() => multiLabelClassification({ labels: [] }), {
    name: "RangeError",
    message: /with 0 labels/,
  });
});
