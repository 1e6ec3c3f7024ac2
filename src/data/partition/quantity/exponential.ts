import { clientsOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { growingSizes } from "../sizes.ts";
import { dealBySize } from "./_deal_by_size.ts";

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
export const exponentialPartitioner = definePartitioner({
  kind: "exponential",
  summary: "sizes in proportion to e to the power of the client's number from 1 up",
  shape: { numClients: clientsOption },
  example: { numClients: 10 },
  share: ({ numExamples }, { numClients }, stream) =>
    dealBySize(numExamples, growingSizes(numExamples, numClients, "exponential"), stream),
});
