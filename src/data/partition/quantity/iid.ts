import { clientsOption } from "../option_schemas.ts";
import { checkClients } from "../check_clients.ts";
import { definePartitioner } from "../partitioner.ts";

/**
 * Deals shuffled examples out evenly: client sizes differ by at most one, and each client's data follow the whole set's distribution.
 *
 * @throws {RangeError} if there are more clients than examples.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { clients } = iidPartitioner({ numClients: 3 }).partition({ numExamples: 10 }, { seed: 1 });
 * assert.deepEqual(clients.map((indices) => indices.length), [4, 3, 3]);
 * ```
 */
export const iidPartitioner = definePartitioner({
  kind: "iid",
  summary: "shuffled examples in equal parts",
  shape: { numClients: clientsOption },
  example: { numClients: 20 },
  share({ numExamples }, { numClients }, stream) {
    checkClients(numExamples, numClients);
    const order = Array.from({ length: numExamples }, (_, i) => i);
    stream.shuffle(order);
    const clients: number[][] = Array.from({ length: numClients }, () => []);
    for (const [i, index] of order.entries()) clients[i % numClients]!.push(index);
    return clients;
  },
});
