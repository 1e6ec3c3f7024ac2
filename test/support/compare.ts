import assert from "node:assert/strict";
import type { F64Array } from "../reference/array.ts";

/** Unit roundoff of float32: |fl(x) − x| ≤ u·|x|. */
export const F32_UNIT_ROUNDOFF = 2 ** -24;

/** Smallest normal float32. A GPU may flush anything below it to zero. */
export const F32_MIN_NORMAL = 2 ** -126;

/** Largest finite float32. */
export const F32_MAX = (2 - 2 ** -23) * 2 ** 127;

/** How far a value may lie from the expected one; the parts add up. */
export interface Tolerance {
  /** One bound for all elements, or one for each (such as a multiple of |x|·|y| for a dot product). */
  readonly absolute?: number | ArrayLike<number>;
  /** Multiple of |expected|. */
  readonly relative?: number;
  /** Multiple of the float32 spacing at the expected value. */
  readonly ulps?: number;
}

/** γₙ = n·u/(1 − n·u): the relative error of n float32 roundings in a row (Higham 2002, lemma 3.1). */
export function gammaN(n: number): number {
  return n * F32_UNIT_ROUNDOFF / (1 - n * F32_UNIT_ROUNDOFF);
}

/**
 * Bound of |fl(x·y) − x·y| for a float32 dot product of length n in any order, fused or not: γₙ·|x|·|y|
 * (Higham 2002, eq. 3.5). `magnitudes` is |x|·|y|, which is the float64 product of the absolute operands.
 */
export function dotErrorBound(n: number, magnitudes: ArrayLike<number>): Float64Array {
  return Float64Array.from(magnitudes, (magnitude) => gammaN(n) * magnitude);
}

/** Distance from |x| to the next larger float32; for denormals, the spacing of the smallest normal. */
export function ulpF32(x: number): number {
  const magnitude = Math.min(Math.max(Math.abs(x), F32_MIN_NORMAL), F32_MAX);
  return 2 ** (Math.floor(Math.log2(magnitude)) - 23);
}

/**
 * Compares float32 results with a float64 oracle. An element passes when it is the expected value rounded to float32
 * (infinities and NaN among them), or lies within the tolerance plus F32_MIN_NORMAL, for adapters that flush denormals.
 *
 * @throws {AssertionError} naming the worst element, both values and its tolerance
 * @example
 * ```ts
 * assertClose(await y.data(), matmul(a, b), { absolute: dotErrorBound(k, matmul(abs(a), abs(b)).data) });
 * ```
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number> | F64Array,
  tolerance: Tolerance,
): void {
  const wanted = "data" in expected ? expected.data : expected;
  assert.equal(actual.length, wanted.length, `Expected ${wanted.length} elements, got ${actual.length}`);
  const { absolute = 0, relative = 0, ulps = 0 } = tolerance;
  let worst = { excess: 1, index: -1, allowed: 0 };
  for (let i = 0; i < wanted.length; i++) {
    const [value, target] = [actual[i]!, wanted[i]!];
    if (Object.is(value, target) || value === target || Object.is(value, Math.fround(target))) continue;
    const bound = typeof absolute === "number" ? absolute : absolute[i]!;
    const allowed = bound + relative * Math.abs(target) + ulps * ulpF32(target) + F32_MIN_NORMAL;
    const ratio = Math.abs(value - target) / allowed;
    const excess = Number.isFinite(value) && Number.isFinite(target) && ratio === ratio ? ratio : Infinity;
    if (excess > worst.excess) worst = { excess, index: i, allowed };
  }
  const { index, allowed, excess } = worst;
  assert.ok(
    index < 0,
    `Element ${index} of ${wanted.length} is off the most: expected ${wanted[index]}, got ${
      actual[index]
    }, ` +
      `tolerance ${allowed.toExponential(2)}, ${excess.toPrecision(3)} times exceeded`,
  );
}

/** Largest |xᵢ − yᵢ|. */
export function maxAbsDifference(x: ArrayLike<number>, y: ArrayLike<number>): number {
  return Array.from(x).reduce((max, value, i) => Math.max(max, Math.abs(value - y[i]!)), 0);
}

/** ‖x − y‖₂ / ‖y‖₂, or ‖x‖₂ where y is zero. */
export function relativeError(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const difference = Math.sqrt(Array.from(x).reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
  return difference / (Math.sqrt(Array.from(y).reduce((sum, value) => sum + value * value, 0)) || 1);
}
