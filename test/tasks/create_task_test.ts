import assert from "node:assert/strict";
import { test } from "node:test";
import { createTask, labelsFor, type TaskKind, taskKinds } from "../../src/tasks/mod.ts";

test("createTask() makes a task of each kind, by the labels that examples have", () => {
  for (const kind of taskKinds) {
    const task = createTask(kind, { labels: ["b", "a"].slice(0, kind === "regression" ? 1 : 2) });
    assert.equal(task.kind, kind);
    const labels = { "regression": ["b"], "question-answering": ["start", "end"] }[kind as string];
    assert.deepEqual(task.labels, labels ?? ["b", "a"]);
    assert.equal(task.perToken, kind === "token-classification" || kind === "question-answering");
  }
  assert.equal(taskKinds.length, 5);
  const { metrics } = createTask("question-answering", { noAnswerThreshold: 0 });
  assert.ok(metrics.includes("noAnswerAccuracy"));
});

test("createTask() and labelsFor() refuse unknown kinds", () => {
  for (const kind of ["translation", "toString"] as unknown as TaskKind[]) {
    const error = { name: "RangeError", message: /of kind "\w+": expected one of sequence-classification, / };
    assert.throws(() => createTask(kind, {}), error);
    assert.throws(() => labelsFor(kind, []), error);
  }
});

test("labelsFor() finds the labels of examples in an order of their own", () => {
  const text = "";
  const classes = ["spam", "ham", "spam"].map((label) => ({ text, label }));
  assert.deepEqual(labelsFor("sequence-classification", classes), ["ham", "spam"]);
  const sets = [["b", "a"], [], ["c", "a"]].map((labels) => ({ text, labels }));
  assert.deepEqual(labelsFor("multi-label-classification", sets), ["a", "b", "c"]);
  const tagged = [{ tokens: ["x", "y"], tags: ["B-A", "O"] }];
  assert.deepEqual(labelsFor("token-classification", tagged), ["O", "B-A"]);
  assert.deepEqual(labelsFor("regression", [{ text, value: 1 }]), ["value"]);
  assert.deepEqual(labelsFor("question-answering", []), ["start", "end"]);
});

test("ask() makes examples that a task can prepare, whatever they are asked with", () => {
  const labels = ["a", "b"];
  assert.deepEqual(createTask("sequence-classification", { labels }).ask("x"), { text: "x", label: "a" });
  assert.deepEqual(createTask("sequence-classification", { labels }).ask("x", "y"), {
    text: "x",
    textPair: "y",
    label: "a",
  });
  assert.deepEqual(createTask("multi-label-classification", { labels }).ask("x"), { text: "x", labels: [] });
  assert.deepEqual(createTask("regression", {}).ask("x", "y"), { text: "x", textPair: "y", value: 0 });
  assert.deepEqual(createTask("token-classification", { labels }).ask("x y"), {
    tokens: [],
    tags: [],
    text: "x y",
  });
});
