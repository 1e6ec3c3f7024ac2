import assert from "node:assert/strict";
import { test } from "node:test";
import { askTexts } from "../../../src/cli/trained/prompts.ts";
import { createTask, type Task } from "../../../src/tasks/mod.ts";

const pairs = createTask("sequence-classification", { labels: ["a", "b"] }) as Task;
const questions = createTask("question-answering", {}) as Task;
const tags = createTask("token-classification", { labels: ["O", "B-X"] }) as Task;

test("askTexts() makes examples of texts, pairs and questions", () => {
  assert.deepEqual(askTexts(pairs, ["x", "y"], {}).map(({ prompt }) => prompt), [{ text: "x" }, {
    text: "y",
  }]);
  assert.deepEqual(askTexts(pairs, ["x"], { pair: "z", paired: true })[0]!.example, {
    text: "x",
    textPair: "z",
    label: "a",
  });
  assert.deepEqual(askTexts(questions, ["x"], { question: "q" })[0]!.example, {
    id: "0",
    question: "q",
    context: "x",
    answers: [],
  });
});

test("askTexts() refuses what the task or the model's training doesn't fit", () => {
  const cases: [Task, Parameters<typeof askTexts>[2], RegExp][] = [
    [questions, {}, /there is no question, give --question/],
    [questions, { question: "q", pair: "p" }, /it takes no --pair/],
    [pairs, { question: "q" }, /it takes no --question/],
    [tags, { pair: "p" }, /it takes no --pair/],
    [pairs, { paired: true }, /trained on pairs of texts, give the second one by --pair/],
    [pairs, { paired: false, pair: "p" }, /trained on single texts, leave --pair out/],
  ];
  for (const [task, options, message] of cases) {
    assert.throws(() => askTexts(task, ["x"], options), { name: "ConfigError", message });
  }
});
