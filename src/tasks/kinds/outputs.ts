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
