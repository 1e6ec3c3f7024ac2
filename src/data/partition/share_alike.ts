import { randomKey, RandomStream } from "../../engine/random.ts";
import { groupByLabel } from "./classes.ts";
import type { Partition, PartitionOptions } from "./partitioner.ts";

/** What {@linkcode shareAlike} matches. */
export interface ShareAlikeInput {
  /** What each example of the partition belongs to, such as its class or its key. */
  readonly strata: ArrayLike<number | string>;
  /** What each of the other examples belongs to. */
  readonly others: ArrayLike<number | string>;
}

/**
 * Shares other examples out like those of a partition, so that each client can be tested on what it is trained on: those of a stratum
 * (a class, a key) go to clients in proportion to how many of it they hold, and those of a stratum that nobody holds in proportion
 * to the clients' sizes. A client may get none where there are few.
 *
 * @returns for each client the indices of its other examples, ascending; every one of them is in exactly one list.
 * @throws {RangeError} if a client holds an example beyond the strata, or the seed is out of range.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const strata = ["a", "b", "a", "a"];
 * const tests = shareAlike([[0, 2, 3], [1]], { strata, others: ["b", "a", "a"] }, { seed: 1 });
 * assert.deepEqual(tests, [[1, 2], [0]]);
 * ```
 */
export function shareAlike(
  clients: Partition["clients"],
  { strata, others }: ShareAlikeInput,
  { seed }: PartitionOptions,
): number[][] {
  const stream = new RandomStream(randomKey(seed, "partition alike"));
  const held = countByStratum(clients, strata);
  const sizes = new Map(clients.map(({ length }, k) => [k, length]));
  const shared: number[][] = clients.map(() => []);
  for (const [stratum, members] of groupByLabel(others)) {
    stream.shuffle(members);
    // In random order, so that what rounding gives is nobody's for good.
    const holders = stream.shuffle([...held.get(stratum) ?? sizes]);
    const total = holders.reduce((sum, [, count]) => sum + count, 0);
    let [running, begin] = [0, 0];
    for (const [k, count] of holders) {
      running += count;
      const end = Math.round(running / total * members.length);
      for (; begin < end; begin++) shared[k]!.push(members[begin]!);
    }
  }
  for (const indices of shared) indices.sort((a, b) => a - b);
  return shared;
}

/** How many examples of each stratum each client holds, if any. */
function countByStratum(
  clients: Partition["clients"],
  strata: ArrayLike<number | string>,
): Map<number | string, Map<number, number>> {
  const counts = new Map<number | string, Map<number, number>>();
  for (const [k, indices] of clients.entries()) {
    for (const i of indices) {
      if (!(i < strata.length)) {
        throw new RangeError(
          `Cannot share alike: client ${k} holds example ${i}, expected one of ${strata.length}`,
        );
      }
      const ofStratum = counts.get(strata[i]!) ?? new Map<number, number>();
      ofStratum.set(k, (ofStratum.get(k) ?? 0) + 1);
      counts.set(strata[i]!, ofStratum);
    }
  }
  return counts;
}
