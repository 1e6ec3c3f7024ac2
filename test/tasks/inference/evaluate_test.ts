import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, tensor } from "../../../src/engine/mod.ts";
import {
  classification,
  createTaskSet,
  evaluate,
  modelOutputs,
  regression,
  type Task,
  TaskModel,
} from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { assertClose } from "../../support/compare.ts";
import { tinyClassifier, TinyEncoder, tinyTask } from "../../support/tiny_encoder.ts";
import { tinyLogits, tinyLoss, tinyParameters } from "../../support/tiny_oracle.ts";

const gpu = await testGpu();
const model = tinyClassifier(gpu, { classes: 3, seed: 4 });
// A head of deviation 0.02 would put all logits, and so all answers, on the edge.
assign(
  model.head.output.weight,
  tensor(gpu, Array.from({ length: 18 }, (_, i) => Math.sin(i * i)), { shape: [3, 6] }),
);
const data = tinyTask({ size: 67, length: 5 });

test("evaluate() gives the float64 oracle's loss, accuracy and macro-F1, whatever the batch size", async () => {
  const parameters = await tinyParameters(model);
  const examples = Array.from({ length: data.size }, (_, i) => i);
  const answers = examples.map((example) => {
    const logits = [...tinyLogits(parameters, data, example)];
    return logits.indexOf(Math.max(...logits));
  });
  const loss = tinyLoss(parameters, data, examples);
  const right = examples.filter((example) => answers[example] === data.targets[example]).length;
  const scores = [0, 1, 2].map((label) => {
    const count = (f: (answer: number, truth: number) => boolean) =>
      examples.filter((i) => f(answers[i]!, data.targets[i]!)).length;
    const hits = count((answer, truth) => answer === label && truth === label);
    return 2 * hits / (count((answer) => answer === label) + count((_, truth) => truth === label));
  });
  assert.ok(right > 0 && right < data.size);
  const results = [];
  for (const batchSize of [1, 3, 64, 67, 1000]) {
    const found = await evaluate(model, data, { batchSize });
    // Logits of a few units pass some 30 f32 roundings each: 30·2⁻²⁴ = 2e-6.
    assert.ok(Math.abs(found.loss - loss) <= 2e-6 * (1 + loss), `loss ${found.loss}, oracle ${loss}`);
    assert.equal(found.scores["accuracy"], right / data.size);
    assert.ok(Math.abs(found.scores["macroF1"]! - scores.reduce((a, b) => a + b) / 3) <= 1e-12);
    results.push(found);
  }
  for (const result of results) assert.deepEqual(result, results[0], "a batch's size changes no bit");
});

test("evaluate() counts all targets of a row that has as many as tokens, most of them padding", async () => {
  const size = 24;
  const labels = Array.from({ length: size }, (_, k) => `value_${k}`);
  const task = regression({ labels }) as Task;
  const several = TaskModel.create(gpu, new TinyEncoder(gpu), { task, seed: 2 });
  const targets = Float32Array.from({ length: 2 * size }, (_, i) => Math.sin(i));
  const attentionMask = Float32Array.from({ length: 2 * size }, (_, i) => i % size < 3 ? 1 : 0);
  const inputIds = Uint32Array.from(attentionMask, (kept, i) => kept * (1 + i % 5));
  const set = createTaskSet({ batchSize: 2, length: size, inputIds, attentionMask }, { targets });
  const { outputs } = await modelOutputs(several, set);
  const loss = outputs.reduce((sum, value, i) => sum + (value - targets[i]!) ** 2, 0) / (2 * size);
  // Squares below 2 of differences that round once.
  assertClose([(await evaluate(several, set)).loss], [loss], { absolute: 1e-6 });
});

test("evaluate() reports progress and frees what it used", async () => {
  const before = gpu.stats().liveBytes;
  const seen: number[][] = [];
  await evaluate(model, data, { batchSize: 30, onProgress: (done, total) => seen.push([done, total]) });
  assert.deepEqual(seen, [[30, 67], [60, 67], [67, 67]]);
  assert.equal(gpu.stats().liveBytes, before);
});

test("evaluate() refuses an empty set and names the first row whose outputs aren't finite", async () => {
  await assert.rejects(evaluate(model, { ...tinyTask({ size: 1 }), size: 0 }), {
    name: "RangeError",
    message: /empty set/,
  });
  const encoder = new TinyEncoder(gpu);
  const broken = TaskModel.create(gpu, encoder, { task: classification({ labels: ["a", "b"] }), seed: 1 });
  const rare = createTaskSet(
    { batchSize: 2, length: 1, inputIds: Uint32Array.of(3, 7), attentionMask: Float32Array.of(1, 1) },
    { targets: Int32Array.of(0, 0) },
  );
  const rows = await encoder.embedding.weight.floats();
  rows.fill(NaN, 7 * 6, 8 * 6);
  assign(encoder.embedding.weight, tensor(gpu, rows, { shape: [11, 6] }));
  await assert.rejects(evaluate(broken, rare), {
    name: "NonFiniteError",
    message: /row 1: its outputs are NaN/,
  });
});

test("evaluate() refuses a row of which one output isn't finite", async () => {
  const broken = tinyClassifier(gpu, { classes: 3, seed: 4 });
  const weights = await broken.head.output.weight.floats();
  weights.fill(NaN, 12);
  assign(broken.head.output.weight, tensor(gpu, weights, { shape: [3, 6] }));
  await assert.rejects(evaluate(broken, data), {
    name: "NonFiniteError",
    message: /^Cannot evaluate row \d+: its outputs are -?\d[^N]*, NaN; the model has diverged/,
  });
});

test("evaluate() doesn't take a token id outside the vocabulary for a word", async () => {
  const inputIds = { ...data.inputs.inputIds!, data: data.inputs.inputIds!.data.slice() };
  inputIds.data[3 * data.length] = 1e6;
  await assert.rejects(evaluate(model, { ...data, inputs: { ...data.inputs, inputIds } }), {
    name: "NonFiniteError",
    message: /row 3: .* or a token id is outside its vocabulary/,
  });
});
