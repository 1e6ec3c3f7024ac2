import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  argmax,
  logSumExp,
  max,
  mean,
  type ReduceOptions,
  sum,
  sumOfSquares,
} from "../../../../src/engine/ops/reduction/reduce.ts";
import { sumTo } from "../../../../src/engine/ops/reduction/reduction.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { F64Array, sumToShape } from "../../../reference/array.ts";
import { reduce, reduceGradient, type ReductionName } from "../../../reference/reduce.ts";
import { argmax as referenceArgmax } from "../../../reference/shape.ts";
import {
  broadcastPairs,
  f32Arrays,
  type F32ArraysOptions,
  shapes,
  type ShapesOptions,
} from "../../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, F32_UNIT_ROUNDOFF as U, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, holds, run, testFamilies, upload } from "../../harness.ts";

const families = await testFamilies();
const gpu = families.cpu!;
const LARGE = { huge: 1e12, tiny: 1e-12 } as const;
const EXP = 2e-7;

interface ReduceCase {
  readonly x: F64Array;
  readonly options: { axes?: number[]; keepDims: boolean };
}

/** An array with any set of its axes, in any order, some of them counted from the end. */
function reduceCases(
  values: F32ArraysOptions,
  shape: ShapesOptions = { maxSize: 2000 },
): fc.Arbitrary<ReduceCase> {
  return shapes(shape).chain((extents) =>
    fc.record({
      x: f32Arrays(extents, values),
      axes: fc.option(fc.shuffledSubarray(extents.map((_, axis) => axis)), { nil: undefined }),
      negative: fc.boolean(),
      keepDims: fc.boolean(),
    }).map(({ x, axes, negative, keepDims }) => ({
      x,
      options: {
        keepDims,
        ...(axes && { axes: axes.map((axis) => negative ? axis - extents.length : axis) }),
      },
    }))
  );
}

/** Elements that make up one of the result. */
function lengthOf({ x, options }: ReduceCase): number {
  return x.size / Math.max(1, reduce("sum", x, options).size);
}

interface Rule {
  readonly run: (x: Tensor, options: ReduceOptions) => Tensor;
  readonly values: F32ArraysOptions;
  readonly error: (each: ReduceCase) => ArrayLike<number>;
  /** Bound of the error of each partial derivative. */
  readonly slopeError: (each: ReduceCase) => ArrayLike<number>;
}

/** A sum of n terms in any order is off by γₙ₋₁·Σ|x|, and by every denormal term where the adapter flushes these. */
const sumError = ({ x, options }: ReduceCase, n: number) =>
  reduce("sum", x.map(Math.abs), options).map((value) => gammaN(n) * value + n * F32_MIN_NORMAL);
/** No denormals: an adapter that flushes them finds several largest elements where there is one. */
const ORDERED = { classes: ["ordinary", "tiny", "huge", "zero", "equal"] } as const;

/**
 * The shifted terms round by u·w for a term e^−w, and w·e^−w <= 0.37, so n terms are off by EXP + γ₂ₙ of their sum (at
 * least 1); the logarithm adds 2e-7 of itself, and the largest element and the result round once more.
 */
function logSumExpError({ x, options }: ReduceCase, n: number): F64Array {
  const peak = reduce("max", x, options);
  return reduce("logSumExp", x, options).map((value, i) =>
    EXP + gammaN(2 * n) + 2e-7 * Math.log(n + 1) + U * Math.abs(value) + U * Math.abs(peak.data[i]!)
  );
}

const RULES: Record<ReductionName, Rule> = {
  sum: {
    run: sum,
    values: LARGE,
    error: (each) => sumError(each, lengthOf(each)).data,
    slopeError: ({ x }) => F64Array.full(x.shape).data,
  },
  mean: {
    run: mean,
    values: LARGE,
    error: (each) => {
      const n = lengthOf(each);
      return sumError(each, n + 2).map((value) => value / n).data;
    },
    slopeError: (each) => F64Array.full(each.x.shape, 2 * U / lengthOf(each)).data,
  },
  max: {
    run: max,
    values: ORDERED,
    error: (each) => reduce("max", each.x, each.options).map(() => 0).data,
    slopeError: ({ x }) => F64Array.full(x.shape).data,
  },
  logSumExp: {
    run: logSumExp,
    values: { huge: 1e4, tiny: 1e-12 },
    error: (each) => logSumExpError(each, lengthOf(each)).data,
    // e^(x − result): the exponent is off by the result's error and a rounding; below −104 the slope is 0 anyway.
    slopeError(each) {
      const ones = reduce("sum", each.x, each.options).map(() => 1);
      const slopes = reduceGradient("logSumExp", each.x, ones, each.options);
      const errors = reduceGradient("sum", each.x, logSumExpError(each, lengthOf(each)), each.options);
      return slopes.map((slope, i) => slope * (2 * errors.data[i]! + 110 * U + EXP)).data;
    },
  },
};

for (
  const [name, rule, family, gpu] of Object.entries(RULES).flatMap(([name, rule]) =>
    Object.entries(families).map(([family, gpu]) => [name, rule, family, gpu] as const)
  )
) {
  test(`${name}() over any axes and its gradient agree with the oracle (${family})`, async () => {
    await holds(reduceCases(rule.values), async (each) => {
      const { x, options } = each;
      const expected = reduce(name as ReductionName, x, options);
      const { y, shape, dy, gradients: [dx] } = await evaluate(gpu, (t) => rule.run(t, options), {
        inputs: [x],
      });
      assert.deepEqual(shape, expected.shape);
      assertClose(y, expected, { absolute: rule.error(each) });
      const wide = reduceGradient("sum", x, dy, options);
      const errors = rule.slopeError(each);
      const gradient = reduceGradient(name as ReductionName, x, dy, options);
      assertClose(dx!, gradient, {
        relative: U,
        absolute: wide.map((value, i) => Math.abs(value) * errors[i]!).data,
      });
    });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`sum() of runs around the length of a chunk, and of several levels of chunks (${family})`, async () => {
    for (const n of [127, 128, 129, 1023, 1024, 1025, 2048, 2051, 70_000, 1_048_579]) {
      const x = F64Array.fromF32([n], gaussian([n], new Random(n)).data);
      const { y, dy, gradients: [dx] } = await evaluate(gpu, (t) => sum(t), { inputs: [x] });
      // A term passes at most 260 additions in its own chunk of 1024 and 260 on each level above.
      assertClose(y, reduce("sum", x), { absolute: gammaN(780) * reduce("sum", x.map(Math.abs)).data[0]! });
      assert.ok(dx!.every((value) => value === Math.fround(dy.data[0]!)));
      assertClose(await run(gpu, () => max(upload(gpu, x))), reduce("max", x), {});
      assertClose(await run(gpu, () => sumOfSquares(upload(gpu, x))), reduce("sum", x.map((v) => v * v)), {
        relative: gammaN(781),
      });
    }
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`sumOfSquares() agrees with the oracle (${family})`, async () => {
    await holds(reduceCases({ huge: 1e15 }, { minRank: 1, maxSize: 2000 }), async (each) => {
      const { x, options } = each;
      if (options.axes?.length === 0) return;
      const y = await run(gpu, () => sumOfSquares(upload(gpu, x), options));
      const expected = reduce("sum", x.map((value) => value * value), options);
      assertClose(y, expected, { relative: gammaN(lengthOf(each)) });
    });
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`sum() of a row has the same bits whatever stands beside it (${family})`, async () => {
    const cases = fc.record({
      rows: fc.integer({ min: 2, max: 70 }),
      length: fc.constantFrom(1, 7, 64, 300, 600),
      seed: fc.nat(),
    });
    await holds(cases, async ({ rows, length, seed }) => {
      const x = new Float32Array(gaussian([rows, length], new Random(seed)).data);
      const together = await run(gpu, () => sum(tensor(gpu, x, { shape: [rows, length] }), { axes: [1] }));
      const row = seed % rows;
      const alone = await run(gpu, () => sum(tensor(gpu, x.slice(row * length, (row + 1) * length))));
      assert.equal(bitsOf(together)[row], bitsOf(alone)[0]);
    }, 30);
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`sum() of a run padded by zeros keeps every bit (${family})`, async () => {
    // Both sides of a multiple of 4, of a chunk of 1024, and of 1024 chunks.
    for (
      const [n, padding] of [[1, 1], [2, 1], [127, 1], [200, 100], [1024, 1], [1022, 5], [3000, 300], [
        1_048_576,
        1,
      ]] as const
    ) {
      const x = new Float32Array(gaussian([n], new Random(n)).data);
      const padded = new Float32Array(n + padding);
      padded.set(x);
      for (const f of [sum, sumOfSquares]) {
        const plain = await run(gpu, () => f(tensor(gpu, x)));
        assert.deepEqual(
          bitsOf(await run(gpu, () => f(tensor(gpu, padded)))),
          bitsOf(plain),
          `${n} and ${padding}`,
        );
      }
    }
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`sum() down columns agrees with the oracle around the length of a chunk, and keeps its bits when padded (${family})`, async () => {
    for (const [length, inner] of [[63, 4], [64, 5], [65, 8], [130, 3], [4097, 12], [4160, 2]] as const) {
      const x = F64Array.fromF32([2, length, inner], gaussian([2, length, inner], new Random(length)).data);
      const y = await run(gpu, () => sum(upload(gpu, x), { axes: [1] }));
      const magnitudes = reduce("sum", x.map(Math.abs), { axes: [1] });
      // A term passes 64 additions on each level.
      assertClose(y, reduce("sum", x, { axes: [1] }), {
        absolute: magnitudes.map((v) => gammaN(192) * v).data,
      });
      const padded = new Float32Array(2 * (length + 3) * inner);
      for (const outer of [0, 1]) {
        padded.set(
          x.data.subarray(outer * length * inner, (outer + 1) * length * inner),
          outer * (length + 3) * inner,
        );
      }
      const again = await run(
        gpu,
        () => sum(tensor(gpu, padded, { shape: [2, length + 3, inner] }), { axes: [1] }),
      );
      assert.deepEqual(bitsOf(again), bitsOf(y));
      const lowest = x.map((value) => value - 10);
      const peaks = await run(gpu, () => max(upload(gpu, lowest), { axes: [1] }));
      assertClose(peaks, reduce("max", lowest.map(Math.fround), { axes: [1] }), {});
    }
  });

  test(`max() along a row of negative numbers, infinities among them, is one of them (${family})`, async () => {
    for (const n of [1, 3, 4, 5, 127, 130, 1025, 3001]) {
      const x = gaussian([n], new Random(n)).data.map((value) => Math.fround(-1 - Math.abs(value)));
      const found = await run(gpu, () => max(tensor(gpu, Float32Array.from(x))));
      assert.equal(found[0], x.reduce((peak, value) => Math.max(peak, value), -Infinity));
      const none = await run(gpu, () => max(tensor(gpu, new Float32Array(n).fill(-Infinity))));
      assert.equal(none[0], -Infinity);
    }
  });
}

for (const [family, gpu] of Object.entries(families)) {
  test(`sum() along more rows than 65535 workgroups take reaches every one (${family})`, async () => {
    // 8 rows a workgroup on a CPU, 2 on a GPU.
    const rows = 65_535 * (family === "cpu" ? 8 : 2) + 11;
    const x = Float32Array.from({ length: 3 * rows }, (_, i) => (i * 7) % 101);
    const y = await run(gpu, () => sum(tensor(gpu, x, { shape: [rows, 3] }), { axes: [1] }));
    assert.ok(y.every((value, row) => value === x[3 * row]! + x[3 * row + 1]! + x[3 * row + 2]!));
  });
}

test("max() gives its gradient to the first of equal elements", async () => {
  const x = F64Array.fromF32([2, 3], [1, 5, 5, 5, 0, 5]);
  const all = await evaluate(gpu, (t) => max(t), { inputs: [x], dy: () => F64Array.full([], 2) });
  assert.deepEqual([...all.gradients[0]!], [0, 2, 0, 0, 0, 0]);
  const rows = await evaluate(gpu, (t) => max(t, { axes: [0] }), {
    inputs: [x],
    dy: () => F64Array.from([3], [1, 2, 4]),
  });
  assert.deepEqual([...rows.gradients[0]!], [0, 2, 4, 1, 0, 0]);
});

for (const [family, gpu] of Object.entries(families)) {
  test(`logSumExp() of extreme elements neither overflows nor loses the maximum (${family})`, async () => {
    const y = await run(
      gpu,
      () => logSumExp(tensor(gpu, [3e38, 3e38, -3e38, -3e38], { shape: [2, 2] }), { axes: [1] }),
    );
    assertClose(y, [3e38, -3e38], { relative: 2 * U });
  });
}

test("argmax() agrees with the oracle, and takes the first of equal elements", async () => {
  const cases = shapes({ minRank: 1, maxSize: 2000 }).chain((shape) =>
    fc.tuple(
      f32Arrays(shape, ORDERED),
      fc.integer({ min: -shape.length, max: shape.length - 1 }),
      fc.boolean(),
    )
  );
  await holds(cases, async ([values, axis, round]) => {
    const x = round ? values.map((value) => Math.abs(value) < 10 ? Math.round(value) : value) : values;
    const y = await run(gpu, () => {
      const index = argmax(upload(gpu, x), { axis });
      assert.equal(index.dtype, "u32");
      assert.deepEqual(index.shape, referenceArgmax(x, axis).shape);
      return index;
    });
    assertClose(y, referenceArgmax(x, axis), {});
  });
});

for (const [family, gpu] of Object.entries(families)) {
  test(`sumTo() sums over the axes along which a shape was broadcast (${family})`, async () => {
    await holds(broadcastPairs({ maxSize: 700 }), async ([a, b]) => {
      const wide = a.map((extent, i) => Math.max(extent, b[i - a.length + b.length] ?? 1));
      if (a.length < b.length) return;
      const dy = F64Array.fromF32(wide, gaussian(wide, new Random(3)).data);
      const y = await run(gpu, () => sumTo(upload(gpu, dy), b));
      assertClose(y, sumToShape(dy, b), {
        absolute: sumToShape(dy.map((v) => gammaN(dy.size) * Math.abs(v)), b).data,
      });
    });
  });
}

test("sum() of no elements is 0; mean(), max() and argmax() of none are refused", async () => {
  const empty = F64Array.full([2, 0]);
  const { y, gradients: [dx] } = await evaluate(gpu, (t) => sum(t, { axes: [1] }), { inputs: [empty] });
  assert.deepEqual([...y], [0, 0]);
  assert.equal(dx!.length, 0);
  using x = upload(gpu, empty);
  for (const f of [mean, max, logSumExp, (t: Tensor) => argmax(t)]) {
    assert.throws(() => f(x), { name: "RangeError", message: /\[2, 0\] over an empty axis/ });
  }
  assert.equal((await run(gpu, () => mean(upload(gpu, empty), { axes: [0] }))).length, 0);
});

test("sum() refuses an axis outside the shape or named twice", () => {
  using x = tensor(gpu, [1, 2], { shape: [1, 2] });
  assert.throws(() => sum(x, { axes: [2] }), {
    name: "RangeError",
    message: /Cannot use axis 2: expected an integer from -2 to 1/,
  });
  assert.throws(() => sum(x, { axes: [1, -1] }), { name: "TypeError", message: /occurs twice/ });
});

test("max() of denormals is the largest, or zero where the adapter flushes them", async () => {
  const x = F64Array.from([2, 3], [1e-40, 3e-40, 2e-40, -1e-40, -3e-40, -2e-40].map(Math.fround));
  for (const gpu of Object.values(families)) {
    const found = await run(gpu, () => max(upload(gpu, x), { axes: [1] }));
    const exact = [Math.fround(3e-40), Math.fround(-1e-40)];
    found.forEach((value, i) => assert.ok(value === exact[i] || value === 0, `${value} for ${exact[i]}`));
  }
});
