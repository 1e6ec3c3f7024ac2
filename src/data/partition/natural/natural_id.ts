import { z } from "zod";
import { definePartitioner } from "../partitioner.ts";
import { groupByKey, type KeyGroup } from "./_group_by_key.ts";

/**
 * Gives each natural owner (a sender, a device, an author) a client of its own. Clients come in the order in which their keys
 * first occur, so that `[...new Set(keys)]` names them; with `sortKeys` in the order of the keys' code points, as Flower's
 * `NaturalIdPartitioner` has them.
 *
 * @throws {TypeError} if an example has no key, or an empty one.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const keys = ["bob", "ann", "bob"];
 * const { clients } = naturalIdPartitioner({}).partition({ numExamples: 3, keys }, { seed: 1 });
 * assert.deepEqual(clients, [[0, 2], [1]]);
 * ```
 */
export const naturalIdPartitioner = definePartitioner({
  kind: "natural-id",
  summary: "a client for each key, such as a sender or an author",
  shape: { sortKeys: z.boolean().default(false) },
  needs: ["keys"],
  example: {},
  share: ({ keys }, options) => groupByKey(keys, options).map(({ members }: KeyGroup) => members),
});
