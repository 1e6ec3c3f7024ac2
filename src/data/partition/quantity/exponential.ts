import { growingPartitioner } from "./_growing.ts";

/**
 * Quantity skew: sizes in proportion to e to the power of the client's number from 1 up, rounded down; the last client gets what is left. Sizes
 * are those of Flower's `ExponentialPartitioner`, which takes examples in the order of the file; here they are shuffled.
 *
 * @throws {RangeError} if a client would hold nothing.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { clients } = exponentialPartitioner({ numClients: 4 }).partition({ numExamples: 100 }, { seed: 1 });
 * assert.deepEqual(clients.map((indices) => indices.length), [3, 8, 23, 66]);
 * ```
 */
export const exponentialPartitioner = growingPartitioner("exponential", {
  proportion: "e to the power of the client's number",
});
