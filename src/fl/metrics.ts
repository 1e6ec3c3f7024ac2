/** Options of {@linkcode macroF1} and {@linkcode confusionMatrix}. */
export interface ClassMetricOptions {
  /** Size of the label set: ids run from 0 to `numClasses - 1`. */
  numClasses?: number;
}

/**
 * The share of predictions that equal the label.
 *
 * @param labels true class ids
 * @param predictions predicted class ids, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or an id is not a non-negative integer
 */
export function accuracy(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkIds(labels, predictions);
  let correct = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] === predictions[i]) correct++;
  return correct / labels.length;
}

/**
 * The unweighted mean of the classes' F1 scores, F1 = 2·TP / (2·TP + FP + FN).
 *
 * With `numClasses` every id of the label set counts, and one that occurs neither as label nor as prediction scores 0.
 * Without it the classes are those that occur in either list. Both equal scikit-learn's `f1_score(…, average="macro",
 * zero_division=0)`, the first with `labels=range(numClasses)`.
 *
 * @param labels true class ids
 * @param predictions predicted class ids, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or an id is not an integer from 0, below `numClasses` where that is given
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // Class 0: TP 1, FN 1, so F1 = 2/3. Class 1: TP 1, FP 1, so F1 = 2/3.
 * assert.equal(macroF1([0, 0, 1], [0, 1, 1]), 2 / 3);
 * ```
 */
export function macroF1(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  options: ClassMetricOptions = {},
): number {
  checkIds(labels, predictions, options.numClasses);
  const correct = new Map<number, number>();
  const seen = new Map<number, number>();
  const count = (counts: Map<number, number>, id: number): unknown =>
    counts.set(id, (counts.get(id) ?? 0) + 1);
  for (let i = 0; i < labels.length; i++) {
    count(seen, labels[i]!);
    count(seen, predictions[i]!);
    if (labels[i] === predictions[i]) count(correct, labels[i]!);
  }
  // `seen` counts TP + FN as labels and TP + FP as predictions: the whole denominator.
  let total = 0;
  for (const [id, denominator] of seen) total += 2 * (correct.get(id) ?? 0) / denominator;
  return total / (options.numClasses ?? seen.size);
}

/**
 * Counts by true class (row) and predicted class (column). The matrix has `numClasses` rows, or as many as the largest
 * id asks for.
 *
 * @param labels true class ids
 * @param predictions predicted class ids, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or an id is not an integer from 0, below `numClasses` where that is given
 */
export function confusionMatrix(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  options: ClassMetricOptions = {},
): number[][] {
  const numClasses = checkIds(labels, predictions, options.numClasses);
  const matrix = Array.from({ length: numClasses }, () => new Array<number>(numClasses).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]!]![predictions[i]!]!++;
  return matrix;
}

/** Returns the size of the label set: the one given, or the smallest that holds every id. */
function checkIds(labels: ArrayLike<number>, predictions: ArrayLike<number>, numClasses?: number): number {
  if (labels.length !== predictions.length) {
    throw new TypeError(
      `Cannot score predictions: there must be one for each label, got ${predictions.length} and ${labels.length}`,
    );
  }
  if (labels.length === 0) {
    throw new RangeError("Cannot score predictions: there must be at least one, got 0");
  }
  if (numClasses !== undefined && !(Number.isSafeInteger(numClasses) && numClasses > 0)) {
    throw new RangeError(
      `Cannot score predictions: numClasses must be a positive integer, got ${numClasses}`,
    );
  }
  const end = numClasses ?? Number.MAX_SAFE_INTEGER;
  let largest = 0;
  for (const [what, ids] of [["label", labels], ["prediction", predictions]] as const) {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (!(Number.isSafeInteger(id) && id >= 0 && id < end)) {
        throw new RangeError(
          `Cannot score predictions: ${what} ${i} must be an integer from 0 to ${end - 1}, got ${id}`,
        );
      }
      largest = Math.max(largest, id);
    }
  }
  return numClasses ?? largest + 1;
}
