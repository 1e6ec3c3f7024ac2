import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matmul } from "../../../../src/engine/ops/matmul/matmul.ts";
import { reshape, slice } from "../../../../src/engine/ops/shape.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { F64Array, sizeOf } from "../../../reference/array.ts";
import { matmul as reference, matmulGradient, type MatmulLayout } from "../../../reference/matmul.ts";
import { broadcastPairs, extents, f32Arrays } from "../../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, evaluateEverywhere, holds, run, testAllFamilies, upload } from "../../harness.ts";

const families = await testAllFamilies();
const absolute = (x: F64Array) => x.map(Math.abs);
const flags = (layout: MatmulLayout) => ({ transposeA: layout === "TN", transposeB: layout === "NT" });
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);

interface Case {
  readonly a: F64Array;
  readonly b: F64Array;
  readonly layout: MatmulLayout;
}

const operandShapes = (m: number, k: number, n: number, layout: MatmulLayout) =>
  [layout === "TN" ? [k, m] : [m, k], layout === "NT" ? [n, k] : [k, n]] as const;

const VALUES = { huge: 1e12, tiny: 1e-12 } as const;
const cases: fc.Arbitrary<Case> = fc.record({
  size: fc.tuple(extents(), extents(), extents()),
  batches: broadcastPairs({ maxRank: 4, maxSize: 12 }),
  layout: fc.constantFrom<MatmulLayout>("NN", "NT", "TN"),
}).chain(({ size: [m, k, n], batches: [left, right], layout }) => {
  const [a, b] = operandShapes(m, k, n, layout);
  return fc.record({
    a: f32Arrays([...left, ...a], VALUES),
    b: f32Arrays([...right, ...b], VALUES),
    layout: fc.constant(layout),
  });
});

/**
 * A chain of k multiply-adds, fused or not, is within γₖ·|a|·|b|; an adapter that flushes denormal products loses at most the
 * smallest normal number of each. A gradient sums over the broadcast batches too.
 */
async function check({ a, b, layout }: Case): Promise<void> {
  // The sum over broadcast batches of single numbers runs along a row, which lanes share on a GPU; over more than 512
  // rows in all, the gradient of a shared b is a sum that a GPU may split.
  const single = [a, b].map(({ shape }) => shape.at(-1) === 1 && shape.at(-2) === 1);
  const split = b.shape.length === 2 && layout !== "TN" && sizeOf(a.shape.slice(0, -1)) > 512;
  const ownOrder = [0, 1].filter((i) => single[i] || (i === 1 && split));
  const { y, shape, dy, gradients } = await evaluateEverywhere(
    families,
    (_, [p, q]) => matmul(p!, q!, flags(layout)),
    { inputs: [a, b], ownOrder },
  );
  const expected = reference(a, b, { layout });
  assert.deepEqual(shape, expected.shape);
  const k = a.shape.at(layout === "TN" ? -2 : -1)!;
  const bound = (terms: number) => (magnitude: number) => gammaN(terms) * magnitude + terms * F32_MIN_NORMAL;
  assertClose(y, expected, { absolute: reference(absolute(a), absolute(b), { layout }).map(bound(k)).data });
  const wanted = matmulGradient(a, b, dy, { layout });
  const magnitudes = matmulGradient(absolute(a), absolute(b), absolute(dy), { layout });
  const repeats = (x: F64Array) => sizeOf(shape.slice(0, -2)) / sizeOf(x.shape.slice(0, -2));
  assertClose(gradients[0]!, wanted.a, {
    absolute: magnitudes.a.map(bound(shape.at(-1)! * repeats(a))).data,
  });
  assertClose(gradients[1]!, wanted.b, {
    absolute: magnitudes.b.map(bound(shape.at(-2)! * repeats(b))).data,
  });
}

test("matmul() and its gradients agree with the oracle, and every kernel family gives the same bits", async () => {
  await holds(cases, check, 60);
});

// Both sides of every tile of matmul_plan.ts: 8 and 16 rows or columns of the register kernel, 32 without subgroups,
// 16, 64 and 128 of the workgroup kernel; k around its depths 8 and 16.
for (const layout of ["NN", "NT", "TN"] as const) {
  test(`matmul() of layout ${layout} is right on both sides of every tile's edge`, async () => {
    const sizes = [
      [1, 1, 1],
      [8, 7, 8],
      [9, 8, 9],
      [16, 9, 16],
      [17, 15, 17],
      [1, 100, 65],
      [65, 33, 1],
      [63, 16, 130],
      [129, 17, 33],
      [130, 12, 64],
      [8, 257, 31],
      [33, 1, 128],
      // Odd rows are padded from 64 on each side.
      [65, 67, 66],
      [64, 65, 70],
      [127, 69, 129],
    ] as const;
    for (const [i, [m, k, n]] of sizes.entries()) {
      const [a, b] = operandShapes(m, k, n, layout);
      await check({ a: random(a, i), b: random(b, i + 100), layout });
    }
  });
}

test("matmul() takes the largest tile where a batch fills it", async () => {
  // floor(m/128)·floor(n/128)·batch = 128 is where the plan of a GPU goes over to 128 × 128.
  for (const [batch, m, n] of [[128, 128, 128], [64, 129, 257]] as const) {
    const { y } = await runEverywhere([batch, m, 3], [batch, 3, n]);
    const [a, b] = [random([batch, m, 3], 1), random([batch, 3, n], 2)];
    const bounds = reference(absolute(a), absolute(b)).map((value) => gammaN(3) * value);
    assertClose(y, reference(a, b), { absolute: bounds.data });
  }
});

/** The product of random matrices on every family, checked to have the same bits. */
async function runEverywhere(shapeA: readonly number[], shapeB: readonly number[]) {
  const [a, b] = [random(shapeA, 1), random(shapeB, 2)];
  const results = [];
  for (const gpu of Object.values(families)) {
    results.push(await run(gpu, () => matmul(upload(gpu, a), upload(gpu, b))));
  }
  for (const each of results) assert.deepEqual(bitsOf(each), bitsOf(results[0]!));
  return { y: results[0]! };
}

test("matmul() of a row has the same bits whatever rows and matrices stand beside it", async () => {
  const sizes = fc.record({
    m: extents(),
    k: extents(),
    n: extents(),
    batch: fc.integer({ min: 1, max: 5 }),
    layout: fc.constantFrom<MatmulLayout>("NN", "NT"),
    seed: fc.nat(),
  });
  await holds(sizes, async ({ m, k, n, batch, layout, seed }) => {
    const [shapeA, shapeB] = operandShapes(m, k, n, layout);
    const [a, b] = [random([batch, ...shapeA], seed), random([batch, ...shapeB], seed + 1)];
    const [member, row] = [seed % batch, seed % m];
    const part = (x: F64Array, index: number, shape: readonly number[]) =>
      F64Array.from(shape, x.data.subarray(index * sizeOf(shape), (index + 1) * sizeOf(shape)));
    for (const gpu of Object.values(families)) {
      const together = await run(gpu, () => matmul(upload(gpu, a), upload(gpu, b), flags(layout)));
      const alone = await run(
        gpu,
        () =>
          matmul(
            upload(gpu, part(a, member * m + row, [1, k])),
            upload(gpu, part(b, member, shapeB)),
            flags(layout),
          ),
      );
      const start = (member * m + row) * n;
      assert.deepEqual(bitsOf(together.slice(start, start + n)), bitsOf(alone));
    }
  }, 30);
});

test("matmul() over an inner dimension padded by zeros keeps every bit", async () => {
  const sizes = fc.record({
    m: extents(33),
    k: extents(),
    n: extents(33),
    padding: fc.constantFrom(1, 3, 8, 50),
    layout: fc.constantFrom<MatmulLayout>("NN", "NT", "TN"),
    seed: fc.nat(),
  });
  await holds(sizes, async ({ m, k, n, padding, layout, seed }) => {
    const [a, b] = [random([m, k], seed), random([k, n], seed + 1)];
    // Zeros on the side of a; anything finite on the other.
    const long = k + padding;
    const padded = F64Array.full([m, long]).map((_, i) =>
      i % long < k ? a.data[Math.floor(i / long) * k + i % long]! : 0
    );
    const longB = random([long, n], seed + 2).map((value, i) => i < k * n ? b.data[i]! : value);
    const stored = (x: F64Array, transposed: boolean) => {
      if (!transposed) return x;
      const [rows, columns] = x.shape as [number, number];
      return F64Array.full([columns, rows]).map((_, i) =>
        x.data[(i % rows) * columns + Math.floor(i / rows)]!
      );
    };
    for (const gpu of Object.values(families)) {
      const product = (p: F64Array, q: F64Array) =>
        run(
          gpu,
          () =>
            matmul(
              upload(gpu, stored(p, layout === "TN")),
              upload(gpu, stored(q, layout === "NT")),
              flags(layout),
            ),
        );
      assert.deepEqual(bitsOf(await product(padded, longB)), bitsOf(await product(a, b)));
    }
  }, 30);
});

test("matmul() of views that start inside a buffer reads from their own start", async () => {
  for (const gpu of Object.values(families)) {
    // Rows of 64 are aligned on every adapter; the last operand's rows of 64 floats start at row 3.
    const [a, b] = [random([10, 64], 1), random([8, 64], 2)];
    const y = await run(
      gpu,
      () =>
        matmul(slice(upload(gpu, a), { start: 3, end: 8 }), slice(upload(gpu, b), { start: 1, end: 8 }), {
          transposeB: true,
        }),
    );
    const [cutA, cutB] = [
      F64Array.from([5, 64], a.data.subarray(3 * 64, 8 * 64)),
      F64Array.from([7, 64], b.data.subarray(64)),
    ];
    const bounds = reference(absolute(cutA), absolute(cutB), { layout: "NT" }).map((value) =>
      gammaN(64) * value
    );
    assertClose(y, reference(cutA, cutB, { layout: "NT" }), { absolute: bounds.data });
  }
});

test("matmul() of empty operands is empty, or zeros where only the inner dimension is empty", async () => {
  for (const gpu of Object.values(families)) {
    for (const [m, k, n] of [[0, 3, 2], [2, 3, 0], [2, 0, 3], [0, 0, 0]] as const) {
      const { y, shape, gradients } = await evaluate(gpu, (a, b) => matmul(a, b), {
        inputs: [F64Array.full([m, k], 1), F64Array.full([k, n], 1)],
      });
      assert.deepEqual(shape, [m, n]);
      assert.ok(y.every((value) => value === 0));
      for (const gradient of gradients) assert.ok(gradient.every((value) => value === 0));
    }
    const batch = await evaluate(gpu, (a, b) => matmul(a, b), {
      inputs: [F64Array.full([0, 2, 3]), F64Array.full([3, 2], 1)],
    });
    assert.deepEqual(batch.shape, [0, 2, 2]);
    assert.deepEqual([...batch.gradients[1]!], new Array(6).fill(0));
  }
});

test("matmul() overflows to infinity and carries NaN, on every family alike", async () => {
  for (const gpu of Object.values(families)) {
    const y = await run(
      gpu,
      () =>
        matmul(
          tensor(gpu, [1e38, 1, NaN, 1], { shape: [2, 2] }),
          tensor(gpu, [10, 1, 0, 0], { shape: [2, 2] }),
        ),
    );
    assert.deepEqual([...y], [Infinity, Math.fround(1e38), NaN, NaN]);
  }
});

test("matmul() names both shapes where they do not fit", () => {
  const gpu = families.cpu!;
  using a = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using b = tensor(gpu, new Float32Array(8), { shape: [2, 4] });
  using row = reshape(b, [8]);
  using batch = reshape(a, [3, 1, 2]);
  using other = reshape(b, [2, 2, 2]);
  assert.throws(() => matmul(a, b), {
    name: "TypeError",
    message: "Cannot multiply matrices: inner dimensions must agree, got [2, 3] and [2, 4]",
  });
  assert.throws(() => matmul(a, b, { transposeB: true }), {
    message: "Cannot multiply matrices: inner dimensions must agree, got [2, 3] and [2, 4]ᵀ",
  });
  assert.throws(() => matmul(a, row), {
    name: "TypeError",
    message: /shape \[8\]: expected at least 2 axes/,
  });
  assert.throws(() => matmul(batch, other), { name: "TypeError", message: /\[3\] and \[2\]/ });
  assert.throws(() => matmul(a, a, { transposeA: true, transposeB: true }), {
    name: "TypeError",
    message: /both operands transposed/,
  });
});
