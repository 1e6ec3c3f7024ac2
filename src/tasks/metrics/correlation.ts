/**
 * Pearson's correlation of numbers and predictions, −1 to 1. It's 0 where either are all equal, which says nothing about the
 * other; SciPy's `pearsonr` gives NaN there.
 *
 * @param values true numbers
 * @param predictions predicted numbers, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or one isn't finite
 */
export function pearsonCorrelation(values: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkNumbers(values, predictions);
  const [x, y] = [differences(values), differences(predictions)];
  if (x === undefined || y === undefined) return 0;
  return Math.min(1, Math.max(-1, dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))));
}

/**
 * Spearman's correlation: {@linkcode pearsonCorrelation} of ranks, where equal numbers share the mean of theirs. It's 0 where
 * either are all equal; SciPy's `spearmanr` gives NaN there.
 *
 * @param values true numbers
 * @param predictions predicted numbers, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or one isn't finite
 */
export function spearmanCorrelation(values: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkNumbers(values, predictions);
  return pearsonCorrelation(ranks(values), ranks(predictions));
}

/** Differences from the mean, up to a factor; undefined where all are equal. */
function differences(numbers: ArrayLike<number>): Float64Array | undefined {
  const values = Float64Array.from(numbers);
  if (values.every((value) => value === values[0])) return undefined;
  // Scaled so that no sum overflows, and again so that no square does or vanishes. A mean that is large beside the differences
  // is rounded by a part of them; what is left of it then goes in the second pass.
  return withoutMean(scaled(withoutMean(scaled(values))));
}

function withoutMean(values: Float64Array): Float64Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

/** Numbers divided by a power of two, which rounds none of them, so that the largest is of order 1. */
function scaled(values: Float64Array): Float64Array {
  const largest = values.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
  const scale = 2 ** Math.min(1023, Math.floor(Math.log2(largest)));
  return values.map((value) => value / scale);
}

function dot(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, value, i) => sum + value * y[i]!, 0);
}

/** Ranks from 1; those of equal numbers are averaged. */
function ranks(numbers: ArrayLike<number>): Float64Array {
  const order = Array.from(numbers, (value, i) => ({ value, i })).sort((a, b) => a.value - b.value);
  const found = new Float64Array(order.length);
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && order[end]!.value === order[start]!.value) end++;
    for (const { i } of order.slice(start, end)) found[i] = (start + 1 + end) / 2;
  }
  return found;
}

function checkNumbers(values: ArrayLike<number>, predictions: ArrayLike<number>): void {
  if (values.length !== predictions.length) {
    throw new TypeError(
      `Cannot correlate: there must be one prediction for each number, got ${predictions.length} and ${values.length}`,
    );
  }
  if (values.length === 0) throw new RangeError("Cannot correlate: there must be at least one number, got 0");
  for (const [what, numbers] of [["number", values], ["prediction", predictions]] as const) {
    for (let i = 0; i < numbers.length; i++) {
      if (!Number.isFinite(numbers[i])) {
        throw new RangeError(`Cannot correlate: ${what} ${i} must be finite, got ${numbers[i]}`);
      }
    }
  }
}
