import assert from "node:assert/strict";
import { test } from "node:test";
import { maxAbsDifference } from "../support/compare.ts";
import { gaussian, matrixCases } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { matmul } from "./matmul.ts";
import { householderQr } from "./qr.ts";

const identity = (n: number) => F64Array.full([n, n]).map((_, i) => i % (n + 1) === 0 ? 1 : 0);

function check(a: F64Array): void {
  const { q, r } = householderQr(a);
  const [m, n] = a.shape as [number, number];
  const k = Math.min(m, n);
  assert.deepEqual([q.shape, r.shape], [[m, k], [k, n]]);
  // Householder's backward error is a small multiple of m·n·2⁻⁵²·‖A‖_F; 1e-13 covers these sizes and norms ≤ 100.
  assert.ok(maxAbsDifference(matmul(q, r).data, a.data) < 1e-13);
  assert.ok(maxAbsDifference(matmul(q, q, { layout: "TN" }).data, identity(k).data) < 1e-13);
  for (let i = 0; i < k; i++) {
    assert.ok(r.data[i * n + i]! >= 0);
    for (let j = 0; j < i; j++) assert.equal(r.data[i * n + j], 0);
  }
}

test("householderQr() matches a hand-worked factorisation", () => {
  const { q, r } = householderQr(F64Array.from([2, 2], [3, 1, 4, 2]));
  assert.ok(maxAbsDifference(q.data, [0.6, -0.8, 0.8, 0.6]) < 1e-15);
  assert.ok(maxAbsDifference(r.data, [5, 2.2, 0, 0.4]) < 1e-15);
});

test("householderQr() factors tall, wide, square, thin and degenerate matrices", () => {
  const random = new Random(8);
  for (const shape of [[1, 1], [1, 7], [7, 1], [13, 5], [5, 13], [17, 17]]) check(gaussian(shape, random));
  for (const { matrix } of matrixCases([11, 8], 9)) check(matrix);
});
