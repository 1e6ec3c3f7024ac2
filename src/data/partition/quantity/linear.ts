import { growingPartitioner } from "./_growing.ts";

/**
 * Quantity skew: sizes in proportion to the client's number from 1 up, rounded down; the last client gets what is left. Sizes
 * are those of Flower's `LinearPartitioner`, which takes examples in the order of the file; here they are shuffled.
 *
 * @throws {RangeError} if a client would hold nothing.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { clients } = linearPartitioner({ numClients: 4 }).partition({ numExamples: 100 }, { seed: 1 });
 * assert.deepEqual(clients.map((indices) => indices.length), [10, 20, 30, 40]);
 * ```
 */
export const linearPartitioner = growingPartitioner("linear", { proportion: "the client's number" });
