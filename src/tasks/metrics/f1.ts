import { checkIds } from "./_check_ids.ts";
import type { ClassMetricOptions } from "./confusion_matrix.ts";

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
