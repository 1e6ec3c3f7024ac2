import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { evaluationBatch } from "../../../../src/tasks/inference/run_model.ts";
import { loadTokenizer } from "../../../../src/models/mod.ts";
import {
  evaluate,
  modelOutputs,
  openTaskModel,
  questionAnswering,
  type QuestionSet,
  readOutputs,
  type Scores,
  TaskModel,
  tuneNoAnswerThreshold,
} from "../../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../../engine/harness.ts";
import { assertClose } from "../../../support/compare.ts";
import { folderFiles } from "../../../support/folder_files.ts";
import {
  goldenQuestions,
  questionsFolder,
  questionsReference as reference,
} from "../../../support/golden_questions.ts";

const gpu = await testGpu();
const files = folderFiles(join(questionsFolder, "model"));
const { model } = await openTaskModel(gpu, files);
const tokenizer = await loadTokenizer(files);
const { maxLength, stride, maxAnswerLength } = reference;
const examples = goldenQuestions();
// The reference looks at every span, not at the twenty best starts and ends alone.
const task = (noAnswerThreshold?: number) =>
  questionAnswering({ stride, maxAnswerLength, nBest: 1000, noAnswerThreshold });
const set = task().prepare(examples, tokenizer, { maxLength });

/** The model with a threshold. */
const withThreshold = (threshold?: number) =>
  new TaskModel(model.encoder, model.head, { task: task(threshold) as TaskModel["task"] });

/** Scores by the names that SQuAD's script has for them, in per cent. */
function squadScores(
  { f1, exactMatch, hasAnswerF1, hasAnswerExactMatch, noAnswerAccuracy }: Scores,
): number[] {
  return [exactMatch, f1, hasAnswerExactMatch, hasAnswerF1, noAnswerAccuracy, noAnswerAccuracy]
    .map((share) => 100 * share!);
}

test("a checkpoint's loss and answers on windows are those of transformers, padding apart", async () => {
  assert.equal(set.size, reference.numWindows);
  assert.deepEqual([...set.targets], reference.targets);
  const { loss } = await evaluate(withThreshold(), set);
  // A mean of 206 losses of up to 20 nats, each of two layers in f32.
  assertClose([loss], [reference.loss], { absolute: 2e-6 });
  const { outputs } = await modelOutputs(model, set);
  const predictions = readOutputs(task().predictor(set), set, outputs);
  assert.deepEqual(Object.fromEntries(predictions.map(({ id, text }) => [id, text])), reference.predictions);
  const margins = predictions.map(({ noAnswerMargin }) => noAnswerMargin!);
  assertClose(margins, Object.values(reference.margins), { absolute: 1e-4 });
});

test("scores of answers and of no answer, and the best threshold, are those of SQuAD's script", async () => {
  const { scores } = await evaluate(withThreshold(0), set);
  assertClose(squadScores(scores), Object.values(reference.scores), { absolute: 1e-9 });
  const { outputs } = await modelOutputs(model, set);
  // Whatever threshold the predictions are by.
  for (const threshold of [undefined, 0, -5]) {
    const tuned = tuneNoAnswerThreshold(set, readOutputs(task(threshold).predictor(set), set, outputs));
    assertClose([tuned.threshold], [reference.bestThreshold], { absolute: 1e-4 });
    assertClose([100 * tuned.score], [reference.bestF1], { absolute: 1e-9 });
    const again = await evaluate(withThreshold(tuned.threshold), set);
    assertClose(squadScores(again.scores), Object.values(reference.tuned), { absolute: 1e-9 });
  }
});

test("modelOutputs() leaves padding out, and changes no bit of what is read", async () => {
  const padded = task().prepare(examples, tokenizer, { maxLength: 48 });
  const { size, length } = padded;
  const rows = Array.from({ length: size }, (_, row) => row);
  const whole = evaluationBatch(model, padded, { rows, tokens: undefined, layout: { length } });
  const [outputs, losses] = [await whole.outputs.floats(), await whole.losses.floats()];
  const found = await modelOutputs(model, padded, { batchSize: 7 });
  assert.deepEqual(bitsOf(found.losses), bitsOf(losses));
  const ofTokens = (values: Float32Array) =>
    values.filter((_, i) => padded.inputs.attentionMask!.data[i >> 1] === 1);
  assert.deepEqual(bitsOf(ofTokens(found.outputs)), bitsOf(ofTokens(outputs)));
  // Padding was left out of most rows.
  const last = rows.filter((row) => found.outputs[2 * ((row + 1) * length - 1)] === 0);
  assert.ok(last.length > size / 2, `${last.length} of ${size} rows are cut`);
  assert.deepEqual(
    readOutputs(task().predictor(padded), padded, found.outputs),
    readOutputs(task().predictor(padded), padded, outputs),
  );
});

test("tuneNoAnswerThreshold() needs questions with an answer and questions without", () => {
  for (const some of [true, false]) {
    const kind: Pick<QuestionSet, "examples"> = {
      examples: examples.filter(({ answers }) => (answers.length > 0) === some),
    };
    assert.throws(() => tuneNoAnswerThreshold(kind, []), {
      name: "RangeError",
      message: /expected questions with an answer and questions without, got/,
    });
  }
});
