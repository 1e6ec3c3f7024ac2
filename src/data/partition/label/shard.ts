import { z } from "zod";
import { checkClients } from "../check_clients.ts";
import { orderedClasses } from "../classes.ts";
import { clientsOption, countOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";

/**
 * Label skew by shards: examples sorted by class are cut into shards of equal size, which are dealt out at random (McMahan et al.,
 * "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017). As Flower's `ShardPartitioner`:
 * with `shardsPerClient` each client gets so many, of `shardSize` or as large as the examples allow, and what isn't needed is left
 * out; with `shardSize` alone all shards are dealt out, the first clients having one more, and the last, smaller shard is left out
 * unless `keepIncompleteShard`.
 *
 * @throws {RangeError} if there are fewer shards than clients, or fewer examples than the shards need.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const labels = ["a", "b", "a", "b"];
 * const partitioner = shardPartitioner({ numClients: 2, shardsPerClient: 1 });
 * const { clients } = partitioner.partition({ numExamples: 4, labels }, { seed: 1 });
 * assert.deepEqual(clients.toSorted(), [[0, 2], [1, 3]]);
 * ```
 */
export const shardPartitioner = definePartitioner({
  kind: "shard",
  summary: "shards of examples sorted by class, dealt out at random",
  shape: {
    numClients: clientsOption,
    shardsPerClient: countOption.optional(),
    shardSize: countOption.optional(),
    keepIncompleteShard: z.boolean().default(false),
  },
  needs: ["labels"],
  example: { numClients: 10, shardsPerClient: 2 },
  check({ shardsPerClient, shardSize }, refuse) {
    if (shardsPerClient !== undefined || shardSize !== undefined) return;
    refuse("shardsPerClient", "expected shardsPerClient or shardSize, got neither");
  },
  share(input, { numClients, shardsPerClient, shardSize, keepIncompleteShard }, stream) {
    const { numExamples } = input;
    checkClients(numExamples, numClients);
    const order = orderedClasses(input).flatMap((members) => stream.shuffle(members));
    const size = shardSize ?? Math.floor(numExamples / (numClients * shardsPerClient!));
    if (size === 0 || size * numClients * (shardsPerClient ?? 0) > numExamples) {
      throw new RangeError(
        `Cannot partition (shard): expected at least ${
          numClients * shardsPerClient! * Math.max(1, size)
        } examples for ` +
          `${numClients} clients with ${shardsPerClient} shards of ${Math.max(1, size)}, got ${numExamples}`,
      );
    }
    const keepsIncomplete = keepIncompleteShard &&
      (shardsPerClient === undefined || shardSize === undefined);
    const numShards = keepsIncomplete ? Math.ceil(numExamples / size) : Math.floor(numExamples / size);
    if (numShards < numClients) {
      throw new RangeError(
        `Cannot partition (shard): expected a shard for each of ${numClients} clients, got ${numShards} of ${size} examples; ` +
          "lower shardSize or numClients",
      );
    }
    const shards = stream.shuffle(Array.from({ length: numShards }, (_, i) => i));
    const [each, more] = shardsPerClient === undefined
      ? [Math.floor(numShards / numClients), numShards % numClients]
      : [shardsPerClient, 0];
    let next = 0;
    return Array.from(
      { length: numClients },
      (_, k) =>
        shards.slice(next, next += each + (k < more ? 1 : 0)).flatMap((i) =>
          order.slice(i * size, (i + 1) * size)
        ),
    );
  },
});
