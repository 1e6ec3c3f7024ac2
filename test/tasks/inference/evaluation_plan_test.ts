import assert from "node:assert/strict";
import { test } from "node:test";
import { planEvaluation } from "../../../src/tasks/inference/evaluation_plan.ts";
import { createTaskSet } from "../../../src/tasks/mod.ts";

/** Rows of so many tokens, padded to one length. */
function setOf(lengths: readonly number[], length: number) {
  const attentionMask = Float32Array.from(
    lengths.flatMap((tokens) => Array.from({ length }, (_, t) => t < tokens ? 1 : 0)),
  );
  const inputIds = new Uint32Array(attentionMask.length);
  return createTaskSet({ inputIds, attentionMask, batchSize: lengths.length, length }, {
    targets: new Int32Array(lengths.length),
  });
}

test("planEvaluation() takes rows of like length together, without the padding that they share", () => {
  const set = setOf([1, 16, 17, 24, 25, 200, 0, 512], 512);
  assert.deepEqual(planEvaluation(set, 2), [
    { rows: [7, 5], length: 512 },
    { rows: [4, 2], length: 32 },
    { rows: [3, 0], length: 24 },
    { rows: [1, 6], length: 16 },
  ]);
  assert.deepEqual(planEvaluation(setOf([3, 4], 5), 64), [{ rows: [0, 1], length: 5 }]);
});

test("planEvaluation() takes fewer rows at once the longer they are", () => {
  const sizes = (tokens: number) =>
    planEvaluation(setOf(new Array(100).fill(tokens), 2048)).map(({ rows }) => rows.length);
  assert.deepEqual(sizes(64), [64, 36]);
  assert.deepEqual(sizes(256), [32, 32, 32, 4]);
  assert.deepEqual(sizes(512).slice(0, 2), [8, 8]);
  assert.equal(sizes(2048).length, 100);
});
