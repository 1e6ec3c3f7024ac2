import assert from "node:assert/strict";
import { test } from "node:test";
import { gammaN, maxAbsDifference, relativeError } from "../support/compare.ts";
import { gaussian, matrixCases, randomOrthonormal } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { matmul } from "./matmul.ts";
import { bestRankError, jacobiSvd } from "./svd.ts";

const identity = (n: number) => F64Array.full([n, n]).map((_, i) => i % (n + 1) === 0 ? 1 : 0);

/** Reconstruction and orthogonality to 2e-14: a few tens of float64 roundings at these sizes. */
function check(a: F64Array, name: string): Float64Array {
  const { u, s, v } = jacobiSvd(a);
  const k = Math.min(...a.shape);
  assert.deepEqual([u.shape, s.length, v.shape], [[a.shape[0], k], k, [a.shape[1], k]]);
  const product = matmul(u.map((value, i) => value * s[i % k]!), v, { layout: "NT" });
  assert.ok(relativeError(product.data, a.data) < 2e-14, `reconstruction of ${name}`);
  for (const factor of [u, v]) {
    const gram = matmul(factor, factor, { layout: "TN" });
    assert.ok(maxAbsDifference(gram.data, identity(k).data) < 2e-14, `orthogonality of ${name}`);
  }
  s.forEach((sigma, i) => assert.ok(sigma >= 0 && (i === 0 || sigma <= s[i - 1]!), `order of ${name}`));
  return s;
}

test("jacobiSvd() matches a hand-worked decomposition", () => {
  // AᵀA = [[25, 20], [20, 25]] has the eigenvalues 45 and 5.
  const { s } = jacobiSvd(F64Array.from([2, 2], [3, 0, 4, 5]));
  assert.ok(maxAbsDifference(s, [Math.sqrt(45), Math.sqrt(5)]) < 1e-14);
});

test("jacobiSvd() recovers a known spectrum from float64 factors", () => {
  const random = new Random(10);
  const spectrum = [1, 1, 0.5, 1e-3, 1e-6, 0];
  const left = randomOrthonormal(12, 6, random).map((value, i) => value * spectrum[i % 6]!);
  const a = matmul(left, randomOrthonormal(9, 6, random), { layout: "NT" });
  assert.ok(maxAbsDifference(check(a, "known spectrum"), [...spectrum, 0, 0, 0]) < 1e-14);
});

test("jacobiSvd() decomposes every kind of matrix in every shape", () => {
  for (const shape of [[1, 1], [1, 7], [7, 1], [16, 16], [23, 9], [9, 23]] as const) {
    check(gaussian(shape, new Random(11)), `gaussian ${shape.join("×")}`);
    for (const { name, matrix, spectrum } of matrixCases(shape, 12)) {
      const s = check(matrix, name);
      // Weyl: rounding the matrix to float32 moves each singular value by at most u·‖A‖_F.
      const moved = gammaN(1) * Math.hypot(...spectrum) + 1e-14;
      assert.ok(maxAbsDifference(s, spectrum) <= moved, `spectrum of ${name}`);
    }
  }
});

test("jacobiSvd() refuses a non-finite matrix", () => {
  assert.throws(() => jacobiSvd(F64Array.from([1, 2], [1, NaN])), RangeError);
});

test("bestRankError() is what truncation leaves", () => {
  assert.deepEqual(bestRankError([5, 4, 3], 1), { spectral: 4, frobenius: 5 });
  assert.deepEqual(bestRankError([5, 4, 3], 3), { spectral: 0, frobenius: 0 });
});
