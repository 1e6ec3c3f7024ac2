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
  const counts = countClasses(labels, predictions);
  const total = [...counts.values()].reduce((sum, count) => sum + f1(count), 0);
  return total / (options.numClasses ?? counts.size);
}

/**
 * The mean of the classes' F1 scores, each weighted by how many labels are of the class: scikit-learn's
 * `f1_score(…, average="weighted", zero_division=0)`. (The micro average over all classes is {@linkcode accuracy}.)
 *
 * @param labels true class ids
 * @param predictions predicted class ids, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or an id is not an integer from 0
 */
export function weightedF1(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkIds(labels, predictions);
  const counts = countClasses(labels, predictions);
  return [...counts.values()].reduce((sum, count) => sum + count.labels * f1(count), 0) / labels.length;
}

interface ClassCount {
  hits: number;
  labels: number;
  predictions: number;
}

function countClasses(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
): Map<number, ClassCount> {
  const counts = new Map<number, ClassCount>();
  const of = (id: number) => {
    const found = counts.get(id) ?? { hits: 0, labels: 0, predictions: 0 };
    counts.set(id, found);
    return found;
  };
  for (let i = 0; i < labels.length; i++) {
    const label = of(labels[i]!);
    label.labels++;
    of(predictions[i]!).predictions++;
    if (labels[i] === predictions[i]) label.hits++;
  }
  return counts;
}

/** Labels are TP + FN and predictions TP + FP; a class that is counted has one of them. */
function f1({ hits, labels, predictions }: ClassCount): number {
  return 2 * hits / (labels + predictions);
}
