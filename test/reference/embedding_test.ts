import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { F64Array } from "./array.ts";
import { embedding, embeddingGradient } from "./embedding.ts";

const shared = F64Array.from([3, 2], [1, 2, 3, 4, 5, 6]);
const perClient = F64Array.from([2, 2, 1], [1, 2, 3, 4]);

test("embedding() looks up rows of a shared and of a per-client table", () => {
  const rows = embedding(shared, F64Array.from([1, 3], [2, 0, 2]));
  assert.deepEqual(rows.shape, [1, 3, 2]);
  assert.deepEqual([...rows.data], [5, 6, 1, 2, 5, 6]);
  assert.deepEqual([...embedding(perClient, F64Array.from([2, 2], [0, 1, 1, 1])).data], [1, 2, 4, 4]);
  for (const id of [-1, 3]) assert.throws(() => embedding(shared, F64Array.from([1], [id])), RangeError);
});

test("embeddingGradient() adds up repeated rows", () => {
  const ids = F64Array.from([3], [2, 0, 2]);
  assert.deepEqual([...embeddingGradient(shared, ids, shared).data], [3, 4, 0, 0, 6, 8]);
  checkGradient((w) => embedding(w!, ids), (dy) => [embeddingGradient(shared, ids, dy)], [shared]);
  const clientIds = F64Array.from([2, 2], [0, 1, 1, 1]);
  checkGradient((w) => embedding(w!, clientIds), (dy) => [embeddingGradient(perClient, clientIds, dy)], [
    perClient,
  ]);
});
