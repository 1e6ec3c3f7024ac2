import assert from "node:assert/strict";
import { test } from "node:test";
import { disposeAll, reshape } from "../../src/engine/mod.ts";
import {
  classification,
  evaluate,
  multiLabelClassification,
  packBatches,
  questionAnswering,
  regression,
  type Task,
  TaskModel,
  tokenClassification,
  trainBlock,
} from "../../src/tasks/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { FakeTokenizer } from "../support/fake_tokenizer.ts";
import { Random } from "../support/random.ts";
import { TinyEncoder } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const random = new Random(7);
const vocabulary = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"];
const texts = Array.from(
  { length: 24 },
  () => Array.from({ length: 2 + random.integer(4) }, () => vocabulary[random.integer(8)]!),
);
const has = (words: readonly string[], word: string) => words.includes(word);

/** Trains everything on all examples at once, and gives the scores on the same. */
async function learn<Example>(task: Task<Example>, examples: readonly Example[]) {
  const set = task.prepare(examples, new FakeTokenizer(), { maxLength: 12 });
  const encoder = new TinyEncoder(gpu, { vocabulary: 32, width: 16, inner: 8 });
  const model = TaskModel.create(gpu, encoder, { task, seed: 1 });
  const rows = Array.from({ length: set.size }, (_, row) => row);
  const steps = 60;
  const { values, losses } = await trainBlock(model, new Map(model.namedParameters()), {
    optimizer: { name: "adamw" },
    learningRate: 0.05,
    batches: packBatches(set, [Array.from({ length: steps }, () => rows)], set.size),
  });
  const trained = model.mapParameters((name, { shape }) => reshape(values.get(name)!, shape));
  const { loss, scores } = await evaluate(trained, set);
  disposeAll([losses, ...values.values()]);
  assert.deepEqual(Object.keys(scores), task.metrics);
  return { loss, scores, best: scores[task.metrics[0]!]! };
}

test("classification() is learnt by a tiny model", async () => {
  const examples = texts.map((words) => ({
    text: words.join(" "),
    label: has(words, "ant") ? "ant" : has(words, "bee") ? "bee" : "none",
  }));
  const { loss, best } = await learn(classification({ labels: ["ant", "bee", "none"] }), examples);
  assert.ok(best === 1 && loss < 0.1, `accuracy ${best}, loss ${loss}`);
});

test("multiLabelClassification() is learnt by a tiny model", async () => {
  const labels = ["ant", "bee", "cat"];
  const examples = texts.map((words) => ({
    text: words.join(" "),
    labels: labels.filter((label) => has(words, label)),
  }));
  const { loss, scores } = await learn(multiLabelClassification({ labels }), examples);
  assert.ok(scores["exactMatch"] === 1 && loss < 0.1, `${JSON.stringify(scores)}, loss ${loss}`);
});

test("regression() is learnt by a tiny model", async () => {
  const examples = texts.map((words) => ({
    text: words[0]!,
    textPair: words.slice(1).join(" "),
    value: 5 * words.filter((word) => word < "dog").length / words.length,
  }));
  const { loss, scores } = await learn(regression(), examples);
  assert.ok(scores["pearson"]! > 0.99, `${JSON.stringify(scores)}, loss ${loss}`);
  // The loss is the mean of f32 squares of which the score is the mean in float64.
  assert.ok(Math.abs(loss - scores["meanSquaredError"]!) < 1e-6);
});

test("tokenClassification() is learnt by a tiny model", async () => {
  const labels = ["O", "B-PET", "B-BUG", "I-BUG"];
  const tags: Record<string, string> = { ant: "B-BUG", bee: "I-BUG", cat: "B-PET", dog: "B-PET" };
  const examples = texts.map((words) => ({
    // A tail that words don't need and that doesn't count.
    tokens: words.map((word) => `${word}${word === "dog" ? "ant" : ""}`),
    tags: words.map((word) => tags[word] ?? "O"),
  }));
  const { loss, scores } = await learn(tokenClassification({ labels }), examples);
  assert.ok(
    scores["f1"] === 1 && scores["accuracy"] === 1 && loss < 0.1,
    `${JSON.stringify(scores)}, ${loss}`,
  );
});

test("questionAnswering() is learnt by a tiny model, questions without an answer too", async () => {
  const examples = texts.map((words, i) => {
    const others = words.map((word) => word === "ant" ? "bee" : word);
    const context = (i % 3 === 0 ? others : others.toSpliced(i % 2, 0, "ant")).join(" ");
    const answers = i % 3 === 0 ? [] : [{ text: "ant", start: context.indexOf("ant") }];
    return { id: `${i}`, question: "who", context, answers };
  });
  const { loss, scores } = await learn(questionAnswering({ stride: 1, noAnswerThreshold: 0 }), examples);
  assert.ok(
    scores["f1"] === 1 && scores["noAnswerAccuracy"] === 1 && loss < 0.1,
    `${JSON.stringify(scores)}, ${loss}`,
  );
});
