/**
 * Checks that there are enough examples for each client's minimum.
 *
 * @param minSize fewest examples a client must get; 1 by default.
 * @throws {RangeError} if there aren't.
 */
export function checkClients(numExamples: number, numClients: number, minSize = 1): void {
  if (numClients * minSize <= numExamples) return;
  throw new RangeError(
    `Cannot partition: ${numClients} clients need at least ${minSize} each, got ${numExamples} examples`,
  );
}
