import assert from "node:assert/strict";
import { test } from "node:test";
import { classification, readOutputs } from "../../../src/tasks/mod.ts";
import { F64Array } from "../../reference/array.ts";
import * as reference from "../../reference/loss.ts";
import { assertClose } from "../../support/compare.ts";
import { FakeTokenizer } from "../../support/fake_tokenizer.ts";
import { evaluate, testGpu, upload, uploadIntegers } from "../../engine/harness.ts";

const gpu = await testGpu();
const task = classification({ labels: ["ham", "spam", "eggs"] });

test("classification() pads and cuts every row to one length and numbers labels in the head's order", () => {
  const tokenizer = new FakeTokenizer();
  const examples = [{ text: "ab", label: "spam" }, { text: "", label: "ham" }, {
    text: "abcd ef",
    label: "eggs",
  }];
  const set = task.prepare(examples, tokenizer, { maxLength: 4 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "[ ab ] _ [ ] _ _ [ abc d ]");
  assert.deepEqual([...set.inputs.attentionMask!.data], [1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1]);
  assert.deepEqual(set.targets, Int32Array.of(1, 0, 2));
  const { numExamples, size, length, targetsPerRow, firstRows, numTruncated } = set;
  assert.deepEqual({ numExamples, size, length, targetsPerRow }, {
    numExamples: 3,
    size: 3,
    length: 4,
    targetsPerRow: 1,
  });
  assert.deepEqual(firstRows, Uint32Array.of(0, 1, 2, 3));
  assert.equal(numTruncated, 1);
});

test("classification() takes pairs of texts", () => {
  const tokenizer = new FakeTokenizer();
  const examples = [{ text: "ab", textPair: "c d", label: "spam" }, {
    text: "e",
    textPair: "",
    label: "ham",
  }];
  const set = task.prepare(examples, tokenizer, { maxLength: 7 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "[ ab ] c d ] _ [ e ] ] _ _ _");
  assert.deepEqual([...set.inputs.tokenTypeIds!.data], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0]);
});

test("classification() asks of a text or a pair, and tells two classes apart", () => {
  const two = classification({ labels: ["no", "yes"] });
  assert.deepEqual(two.ask("a"), { text: "a", label: "no" });
  assert.deepEqual(two.ask("a", ""), { text: "a", textPair: "", label: "no" });
  const tokenizer = new FakeTokenizer();
  const set = two.prepare([two.ask("a", "b")], tokenizer, { maxLength: 5 });
  assert.equal(tokenizer.spell(set.inputs.inputIds!.data), "[ a ] b ]");
  assert.deepEqual(readOutputs(two.predictor(set), set, Float32Array.of(0, 1))[0]!.label, "yes");
});

test("classification() names an example that doesn't fit", () => {
  const [tokenizer, options] = [new FakeTokenizer(), { maxLength: 8 }];
  const unknown = [{ text: "a", label: "ham" }, { text: "b", label: "Spam" }];
  assert.throws(() => task.prepare(unknown, tokenizer, options), {
    name: "RangeError",
    message: 'Cannot use example 2: its label "Spam" is unknown to the head, which has "ham", "spam", "eggs"',
  });
  const alone = { text: "a", label: "ham" };
  const pair = { ...alone, textPair: "b" };
  assert.throws(() => task.prepare([pair, alone], tokenizer, options), {
    name: "RangeError",
    message: /example 2: .* it has one text where the first example has two/,
  });
  assert.throws(() => task.prepare([alone, pair], tokenizer, options), {
    name: "RangeError",
    message: /example 2: .* it has two texts where the first example has one/,
  });
});

test("classification() refuses labels that aren't classes", () => {
  assert.throws(() => classification({ labels: ["one"] }), { name: "RangeError", message: /with 1 labels/ });
  assert.throws(() => classification({ labels: ["a", "b", "a"] }), {
    name: "TypeError",
    message: 'Cannot number labels: "a" is named twice',
  });
});

test("classification()'s losses and their gradients are the oracle's cross-entropy", async () => {
  const logits = F64Array.fromF32([2, 2, 3], [3, -1, 2, 0, 0, 0, 1, 2, 3, -4, 4, 0.5]);
  const targets = F64Array.from([2, 2, 1], [0, 2, 1, 1]);
  const attentionMask = F64Array.full([2, 2, 5], 1);
  const { shape, y, dy, gradients: [dx] } = await evaluate(
    gpu,
    (outputs) =>
      task.losses(outputs, {
        targets: uploadIntegers(gpu, targets, "i32"),
        inputs: { attentionMask: upload(gpu, attentionMask) },
      }),
    { inputs: [logits] },
  );
  assert.deepEqual(shape, [2, 2, 1]);
  const labels = F64Array.from([2, 2], targets.data);
  const options = { reduction: "none" } as const;
  // Losses below 9 and gradients of order 1 from some ten roundings of 6e-8, and exponentials off by 2e-7.
  assertClose(y, reference.crossEntropy(logits, labels, options), { absolute: 3e-6 });
  const wanted = reference.crossEntropyGradient(logits, labels, F64Array.from([2, 2], dy.data), options);
  assertClose(dx!, wanted, { absolute: 3e-6 });
});

test("classification() predicts the class of the largest output and scores by accuracy, macro-F1 and Matthews", () => {
  const texts = ["ham", "ham", "spam", "eggs"].map((label) => ({ text: "x", label }));
  const set = task.prepare(texts, new FakeTokenizer(), { maxLength: 3 });
  const outputs = Float32Array.of(Math.log(2), 0, 0, 0, 5, 0, 1, 1, 0, 800, -800, 801);
  const predictions = readOutputs(task.predictor(set), set, outputs);
  assert.deepEqual(predictions.map(({ label }) => label), ["ham", "spam", "ham", "eggs"]);
  assert.deepEqual(Object.keys(predictions[0]!.probabilities), task.labels);
  assertClose(Object.values(predictions[0]!.probabilities), [0.5, 0.25, 0.25], { absolute: 1e-7 });
  const last = [1 / (1 + Math.E), 0, Math.E / (1 + Math.E)];
  assertClose(Object.values(predictions[3]!.probabilities), last, { absolute: 1e-12 });
  // F1: ham 1 hit of 2 and 2, spam none of 1 and 1, eggs 1 of 1 and 1.
  const scores = readOutputs(task.scorer(set), set, outputs);
  assert.deepEqual(Object.keys(scores), task.metrics);
  assert.equal(scores["accuracy"], 0.5);
  assert.equal(scores["macroF1"], 0.5);
  // Of 4 examples 2 hits; Σ labels·predictions 2·2 + 1·1 + 1·1 = 6, and so are both spreads: (8 − 6)/(16 − 6).
  assertClose([scores["matthews"]!], [0.2], { absolute: 1e-15 });
});

test("classification() refuses outputs of another size, or that aren't finite", () => {
  const set = task.prepare([{ text: "x", label: "ham" }, { text: "y", label: "ham" }], new FakeTokenizer(), {
    maxLength: 3,
  });
  assert.throws(() => readOutputs(task.predictor(set), set, new Float32Array(5)), {
    name: "TypeError",
    message: "Cannot read outputs: expected equally many for each of 2 rows, got 5 in all",
  });
  assert.throws(() => readOutputs(task.predictor(set), set, new Float32Array(8)), {
    name: "TypeError",
    message: "Cannot read outputs of row 0: expected 3, got 4",
  });
  assert.throws(() => readOutputs(task.scorer(set), set, Float32Array.of(0, 0, 0, 0, NaN, 0)), {
    name: "NonFiniteError",
    message: "Cannot read outputs: row 1 must be finite, got NaN",
  });
});

test("classification() names a few of a hundred thousand labels, at once", { timeout: 10_000 }, () => {
  const labels = Array.from({ length: 100_000 }, (_, i) => `label ${i}`);
  const large = classification({ labels });
  const options = { maxLength: 8 };
  assert.throws(() => large.prepare([{ text: "", label: "\u001b[2J" }], new FakeTokenizer(), options), {
    message:
      'Cannot use example 1: its label "\\u001b[2J" is unknown to the head, which has "label 0", "label 1", ' +
      '"label 2", "label 3", "label 4", "label 5", "label 6", "label 7", "label 8", "label 9", "label 10", "label 11" ' +
      "and 99988 more",
  });
  assert.throws(() => classification({ labels: [...labels, `x${"y".repeat(1e6)}`, `x${"y".repeat(1e6)}`] }), {
    message: `Cannot number labels: "x${"y".repeat(59)}…" is named twice`,
  });
});
