/** Checks what every partition by number needs: enough examples for each client's minimum. */
export function checkClients(numExamples: number, numClients: number, minSize: number): void {
  if (!Number.isSafeInteger(numExamples) || numExamples < 0) {
    throw new RangeError(`Cannot partition: numExamples must be a non-negative integer, got ${numExamples}`);
  }
  if (!Number.isSafeInteger(numClients) || numClients < 1) {
    throw new RangeError(`Cannot partition: numClients must be a positive integer, got ${numClients}`);
  }
  if (!Number.isSafeInteger(minSize) || minSize < 1) {
    throw new RangeError(`Cannot partition: minSize must be a positive integer, got ${minSize}`);
  }
  if (numClients * minSize > numExamples) {
    throw new RangeError(
      `Cannot partition: ${numClients} clients need at least ${minSize} each, got ${numExamples} examples`,
    );
  }
}
