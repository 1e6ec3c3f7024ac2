import { checkIds } from "./_check_ids.ts";

/** Options of {@linkcode confusionMatrix} and of F1 scores. */
export interface ClassMetricOptions {
  /** Size of the label set: ids run from 0 to `numClasses - 1`. */
  numClasses?: number;
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
