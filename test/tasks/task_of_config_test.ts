import assert from "node:assert/strict";
import { test } from "node:test";
import { labelsOfConfig, sequenceKindOf } from "../../src/tasks/mod.ts";

const source = "emotion";

test("sequenceKindOf() takes problem_type as transformers does", () => {
  const kind = (problemType: unknown, numOutputs: number) =>
    sequenceKindOf({ problem_type: problemType }, { numOutputs, source });
  assert.equal(kind("regression", 3), "regression");
  assert.equal(kind("regression", 1), "regression");
  assert.equal(kind("single_label_classification", 2), "sequence-classification");
  assert.equal(kind("multi_label_classification", 1), "multi-label-classification");
  // As its models infer it where nothing is said and labels are whole numbers.
  for (const unsaid of [null, undefined]) {
    assert.equal(kind(unsaid, 1), "regression");
    assert.equal(kind(unsaid, 2), "sequence-classification");
  }
  assert.throws(() => kind("multi-label", 2), {
    name: "ModelConfigError",
    message:
      "Cannot open emotion: problem_type of its config.json must be one of single_label_classification, " +
      'multi_label_classification, regression, got "multi-label"',
  });
  // transformers: ValueError, `problem_type="single_label_classification"` requires `num_labels > 1`.
  assert.throws(() => kind("single_label_classification", 1), { message: /needs at least 2 outputs/ });
  assert.throws(() => kind("toString", 2), { name: "ModelConfigError" });
});

function labels(json: Readonly<Record<string, unknown>>) {
  const notices: string[] = [];
  return { labels: labelsOfConfig(json, { source, onNotice: (message) => notices.push(message) }), notices };
}

test("labelsOfConfig() reads names, numbers that people write as names, and none", () => {
  assert.deepEqual(labels({ id2label: { 1: "b", 0: "a" } }), { labels: ["a", "b"], notices: [] });
  assert.deepEqual(labels({ id2label: { 0: 0, 1: 1 } }), { labels: ["0", "1"], notices: [] });
  assert.deepEqual(labels({ id2label: { 0: false, 1: true } }).labels, ["false", "true"]);
  // transformers leaves id2label out where there are two labels without names.
  assert.deepEqual(labels({}).labels, ["LABEL_0", "LABEL_1"]);
  assert.deepEqual(labels({ id2label: null, num_labels: 3 }).labels, ["LABEL_0", "LABEL_1", "LABEL_2"]);
});

test("labelsOfConfig() tells outputs of one name apart, and says so", () => {
  assert.deepEqual(labels({ id2label: { 0: "other", 1: "other", 2: "x" } }), {
    labels: ["other (0)", "other (1)", "x"],
    notices: [
      'Labels of emotion: id2label names 2 outputs "other"; they are renamed "other (0)", "other (1)"',
    ],
  });
  assert.deepEqual(labels({ id2label: { 0: "a", 1: "a", 2: "a (0)" } }).labels, ["a (0)'", "a (1)", "a (0)"]);
});

test("labelsOfConfig() refuses outputs without a name", () => {
  const refused: [Record<string, unknown>, string][] = [
    [{ id2label: { 1: "a", 2: "b" } }, "must name each output from 0 to 1, got nothing for 0, of 1, 2"],
    [{ id2label: { 0: "a", 2: "b" } }, "must name each output from 0 to 1, got nothing for 1, of 0, 2"],
    [{ id2label: { 0: "a", 1: ["b"] } }, 'must name each output from 0 to 1, got ["b"] for 1, of 0, 1'],
    [{ id2label: { a: 0 } }, "must name each output from 0, got nothing for 0, of a"],
    [{ id2label: "a" }, 'must name each output from 0, got "a"'],
    [{ id2label: {} }, "must name each output from 0, got an object"],
  ];
  for (const [json, message] of refused) {
    assert.throws(() => labels(json), {
      name: "ModelConfigError",
      message: `Cannot open emotion: id2label of its config.json ${message}`,
    });
  }
  for (const count of [0, 1.5, "3", 1e12]) {
    assert.throws(() => labels({ num_labels: count }), { message: /num_labels .* must be an integer/ });
  }
});
