/**
 * Checks lists of class ids that are to be held against each other.
 *
 * @returns the size of the label set: the one given, or the smallest that holds every id
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or an id is not an integer from 0, below `numClasses` where that is given
 */
export function checkIds(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  numClasses?: number,
): number {
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
