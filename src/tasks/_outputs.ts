import { NonFiniteError } from "../engine/mod.ts";

/**
 * Splits outputs into groups of neighbours, such as those of a row.
 *
 * @throws {TypeError} when they are not `count` groups of `size`.
 * @throws {NonFiniteError} naming the first group with an output that isn't finite.
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
    if (!group.every(Number.isFinite)) {
      const found = group.find((value) => !Number.isFinite(value));
      throw new NonFiniteError(`Cannot read outputs: row ${i} must be finite, got ${found}`);
    }
    return group;
  });
}

/** The index of the largest value, of equal ones the first. */
export function largest(values: Float32Array): number {
  return values.reduce((best, value, i) => value > values[best]! ? i : best, 0);
}

/** Softmax in float64. */
export function probabilities(logits: Float32Array): number[] {
  const top = logits[largest(logits)]!;
  const weights = Array.from(logits, (logit) => Math.exp(logit - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
