import { randomKey, RandomStream } from "../../engine/random.ts";
import { checkClients } from "./_check.ts";

/** Options of {@linkcode partitionIid}. */
export interface PartitionIidOptions {
  /** Clients that share the examples. */
  numClients: number;
  /** Seed of the shuffle, an integer from 0 to 2^53 - 1. */
  seed: number;
}

/**
 * Deals shuffled examples out evenly: client sizes differ by at most one, and each client's data follow the whole
 * set's distribution.
 *
 * @returns for each client the indices of its examples, ascending; every index is in exactly one list
 * @throws {RangeError} if there are more clients than examples, or an argument is out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const clients = partitionIid(10, { numClients: 3, seed: 1 });
 * assert.deepEqual(clients.map((indices) => indices.length), [4, 3, 3]);
 * ```
 */
export function partitionIid(numExamples: number, options: PartitionIidOptions): number[][] {
  const { numClients, seed } = options;
  checkClients(numExamples, numClients, 1);
  const order = Array.from({ length: numExamples }, (_, i) => i);
  new RandomStream(randomKey(seed, "partition iid")).shuffle(order);
  const clients: number[][] = Array.from({ length: numClients }, () => []);
  for (const [i, index] of order.entries()) clients[i % numClients]!.push(index);
  for (const indices of clients) indices.sort((a, b) => a - b);
  return clients;
}
