import { checkIds } from "./_check_ids.ts";

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
