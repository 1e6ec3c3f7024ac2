import { NonFiniteError } from "../../engine/mod.ts";

/**
 * Splits outputs into groups of neighbours, those of a row.
 *
 * @throws {TypeError} when they are not `count` groups of `size`.
 * @throws {NonFiniteError} naming the first row with an output that isn't finite.
 */
export function groupOutputs(
  outputs: Float32Array,
  { count, size }: { readonly count: number; readonly size: number },
): Float32Array[] {
  if (outputs.length !== count * size) {
    throw new TypeError(
      `Cannot read outputs: expected ${size} for each of ${count} rows, got ${outputs.length} in all`,
    );
  }
  return Array.from({ length: count }, (_, i) => {
    const group = outputs.subarray(i * size, (i + 1) * size);
    const bad = group.find((value) => !Number.isFinite(value));
    if (bad === undefined) return group;
    throw new NonFiniteError(`Cannot read outputs: row ${i} must be finite, got ${bad}`);
  });
}

/** The index of the largest value, of equal ones the first. */
export function largest(values: Float32Array): number {
  return values.reduce((best, value, i) => value > values[best]! ? i : best, 0);
}

/** Softmax in float64. */
export function softmaxOf(scores: ArrayLike<number>): number[] {
  const values = Array.from(scores);
  const top = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const weights = values.map((value) => Math.exp(value - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Shares by the names of their labels. */
export function namedShares(labels: readonly string[], shares: readonly number[]): Record<string, number> {
  return Object.fromEntries(labels.map((label, k) => [label, shares[k]!]));
}
