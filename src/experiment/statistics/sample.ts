/** The mean of some values and how they spread. */
export interface Sample {
  readonly count: number;
  readonly mean: number;
  /** √(Σ(x − mean)²/(n − 1)); null of a single value. */
  readonly sd: number | null;
}

/**
 * Mean and sample standard deviation of values; null where there are none.
 *
 * @example
 * ```ts
 * sampleOf([1, 2, 3, 6]); // { count: 4, mean: 3, sd: 2.160… }
 * ```
 */
export function sampleOf(values: readonly number[]): Sample | null {
  const count = values.length;
  if (count === 0) return null;
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, sd: count > 1 ? Math.sqrt(squares / (count - 1)) : null };
}

/** The mean Σx/n; the mean of equal values is that value to the bit. */
export function meanOf(values: readonly number[]): number {
  const [first = NaN] = values;
  return first + values.reduce((sum, value) => sum + (value - first), 0) / values.length;
}
