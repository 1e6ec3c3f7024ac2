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
  assert.deepEqual(planEvaluation(set, { batchSize: 2 }), [
    { rows: [7, 5], tokens: [512, 200], layout: { length: 512 } },
    { rows: [4, 2], tokens: [25, 17], layout: { length: 32 } },
    { rows: [3, 1], tokens: [24, 16], layout: { length: 24 } },
    { rows: [0, 6], tokens: [1, 0], layout: { length: 8 } },
  ]);
  const short = planEvaluation(setOf([3, 4], 5), { batchSize: 64 });
  assert.deepEqual(short, [{ rows: [0, 1], tokens: [3, 4], layout: { length: 5 } }]);
});

test("planEvaluation() packs tokens where padding would cost more, for an encoder that takes them so", () => {
  const layouts = (lengths: readonly number[]) =>
    planEvaluation(setOf(lengths, 64), { packsTokens: true }).map(({ layout }) => layout);
  assert.deepEqual(layouts([9, 30, 12]), [{ length: 32, rows: 56 }]);
  assert.deepEqual(layouts([11, 11, 11]), [{ length: 11 }]);
  assert.deepEqual(layouts([11]), [{ length: 16 }]);
  assert.deepEqual(layouts([64, 62, 63, 60]), [{ length: 64 }]);
});

test("planEvaluation() takes fewer rows at once the longer they are", () => {
  const sizes = (tokens: number) =>
    planEvaluation(setOf(new Array(100).fill(tokens), 2048)).map(({ rows }) => rows.length);
  assert.deepEqual(sizes(64), [64, 36]);
  assert.deepEqual(sizes(256), [32, 32, 32, 4]);
  assert.deepEqual(sizes(512).slice(0, 2), [8, 8]);
  assert.equal(sizes(2048).length, 100);
});
