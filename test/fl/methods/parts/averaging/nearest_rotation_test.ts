import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor } from "../../../../../src/engine/mod.ts";
import {
  nearestRotation,
  partRotation,
} from "../../../../../src/fl/methods/parts/averaging/nearest_rotation.ts";
import { holds, testGpu, upload } from "../../../../engine/harness.ts";
import { F64Array } from "../../../../reference/array.ts";
import { matmul } from "../../../../reference/matmul.ts";
import { assertClose } from "../../../../support/compare.ts";
import { gaussian } from "../../../../support/matrices.ts";
import { Random } from "../../../../support/random.ts";

const gpu = await testGpu();

async function rotationsOf(...matrices: number[][]): Promise<number[][]> {
  using given = tensor(gpu, matrices.flat(), { shape: [matrices.length, 2, 2] });
  using found = await nearestRotation(given);
  const values = [...await found.floats()];
  return matrices.map((_, i) => values.slice(4 * i, 4 * i + 4));
}

test("nearestRotation() of 2×2 matrices is worked by hand, and never a reflection", async () => {
  const wanted: [number[], number[]][] = [
    // A rotation by a quarter, stretched: U·Vᵀ of SVD.
    [[0, -2, 1, 0], [0, -1, 1, 0]],
    // det = −3: U·Vᵀ = diag(1, −1) is a reflection; the direction of the smaller singular value turns around.
    [[3, 0, 0, -1], [1, 0, 0, 1]],
    // det = −2: 2·e₁·e₂ᵀ + 1·e₂·e₁ᵀ.
    [[0, 2, 1, 0], [0, 1, -1, 0]],
    // Rank 1: the other direction follows from det = 1.
    [[0, 5, 0, 0], [0, 1, -1, 0]],
    [[5, 0, 0, 0], [1, 0, 0, 1]],
    // It says nothing: nothing turns.
    [[0, 0, 0, 0], [1, 0, 0, 1]],
    [[1e-30, 0, 0, 1e-30], [1, 0, 0, 1]],
  ];
  const found = await rotationsOf(...wanted.map(([matrix]) => matrix));
  // The share of the identity, 2⁻²⁰, over the gap of the singular values, at least 1 of 3 but for the ones of one size.
  wanted.forEach(([, rotation], i) => assertClose(found[i]!, rotation, { absolute: 4 * 2 ** -20 }));
});

const cases = fc.record({
  rank: fc.constantFrom(1, 2, 3, 5, 8, 17),
  count: fc.integer({ min: 1, max: 4 }),
  size: fc.constantFrom(1e-18, 1, 1e18),
  kind: fc.constantFrom("any", "singular", "rotation"),
  seed: fc.nat(),
});

test("nearestRotation() is a rotation that no turn of two axes brings nearer", () =>
  holds(cases, async ({ rank, count, size, kind, seed }) => {
    const random = new Random(seed);
    const matrices = Array.from({ length: count }, () => {
      const m = gaussian([rank, rank], random);
      const own = kind === "singular" ? m.map((value, i) => i < rank ? 0 : value) : m;
      return F64Array.fromF32([rank, rank], own.map((value) => size * value).data);
    });
    using given = upload(
      gpu,
      F64Array.from([count, rank, rank], matrices.flatMap(({ data }) => [...data])),
    );
    using found = await nearestRotation(given);
    const all = await found.floats();
    matrices.forEach((matrix, i) => {
      const r = F64Array.from([rank, rank], all.subarray(i * rank ** 2, (i + 1) * rank ** 2));
      const square = matmul(r, r, { layout: "TN" });
      // Columns of length 1 by some r rotations of Jacobi's: a few √r·u.
      assertClose(square.data, square.map((_, j) => j % (rank + 1) === 0 ? 1 : 0), { absolute: 5e-6 });
      assert.ok(determinant(r) > 0);
      // tr((R·G)ᵀ·M) = Σ Gᵢⱼ·Nᵢⱼ with N = Rᵀ·M: a turn by φ of two axes changes it by (Nᵢᵢ + Nⱼⱼ)(cos φ − 1) + (Nⱼᵢ − Nᵢⱼ) sin φ.
      const n = matmul(r, matrix, { layout: "TN" }).data;
      const norm = Math.hypot(...matrix.data) || 1;
      for (let a = 0; a < rank; a++) {
        for (let b = 0; b < a; b++) {
          const [sum, turn] = [n[a * rank + a]! + n[b * rank + b]!, n[a * rank + b]! - n[b * rank + a]!];
          const gain = Math.hypot(sum, turn) - sum;
          // The share of the identity is 2⁻²⁰ of the largest element, the SVD's rounding less.
          assert.ok(gain <= 1e-5 * norm, `${kind} ${rank}: a turn of ${a} and ${b} gains ${gain / norm}`);
        }
      }
    });
  }, 40));

test("partRotation() by λ of a turn by θ is one by atan2(λ·sin θ, 1 − λ + λ·cos θ)", async () => {
  for (const theta of [0.3, -1.2, 2.5, 3.1]) {
    for (const lambda of [0, 0.4, 0.6, 1]) {
      const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
      using turn = tensor(gpu, [cos, -sin, sin, cos], { shape: [1, 2, 2] });
      using part = await partRotation(turn, lambda);
      const angle = Math.atan2(lambda * sin, 1 - lambda + lambda * cos);
      const wanted = [Math.cos(angle), -Math.sin(angle), Math.sin(angle), Math.cos(angle)];
      // What is between is as short as 0.2, which magnifies its rounding.
      assertClose(await part.floats(), wanted, { absolute: 1e-5 });
    }
  }
});

function determinant({ data, shape: [n] }: F64Array): number {
  const size = n!;
  const m = Array.from({ length: size }, (_, i) => [...data.subarray(i * size, (i + 1) * size)]);
  let value = 1;
  for (let c = 0; c < size; c++) {
    const pivot = m.map((row, i) => i < c ? 0 : Math.abs(row[c]!)).reduce(
      (best, x, i, all) => x > all[best]! ? i : best,
      c,
    );
    if (pivot !== c) [m[c], m[pivot], value] = [m[pivot]!, m[c]!, -value];
    value *= m[c]![c]!;
    for (let i = c + 1; i < size; i++) {
      const factor = m[i]![c]! / m[c]![c]!;
      for (let j = c; j < size; j++) m[i]![j]! -= factor * m[c]![j]!;
    }
  }
  return value;
}
