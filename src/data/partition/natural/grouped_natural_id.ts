import { z } from "zod";
import { countOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { splitEvenly } from "../split_evenly.ts";
import { groupByKey } from "./_group_by_key.ts";

/**
 * Gives each client several natural owners, as an organisation has several people: `groupSize` keys each, in the order in which
 * keys first occur, or sorted. `mode` says what becomes of the keys left over: the last client has fewer (`"allow-smaller"`),
 * the first ones have more (`"allow-bigger"`), they are left out (`"drop-remainder"`), or they are refused (`"strict"`). As
 * Flower's `GroupedNaturalIdPartitioner`.
 *
 * @throws {TypeError} if an example has no key, or an empty one.
 * @throws {RangeError} if there are fewer keys than a group has, or keys are left over in the mode `"strict"`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const input = { numExamples: 4, keys: ["ann", "bob", "cem", "ann"] };
 * const { clients } = groupedNaturalIdPartitioner({ groupSize: 2 }).partition(input, { seed: 1 });
 * assert.deepEqual(clients, [[0, 1, 3], [2]]);
 * ```
 */
export const groupedNaturalIdPartitioner = definePartitioner({
  kind: "grouped-natural-id",
  summary: "a client for every groupSize keys",
  shape: {
    groupSize: countOption,
    mode: z.enum(["allow-smaller", "allow-bigger", "drop-remainder", "strict"]).default("allow-smaller"),
    sortKeys: z.boolean().default(false),
  },
  needs: ["keys"],
  example: { groupSize: 5 },
  share({ keys }, { groupSize, mode, sortKeys }) {
    const members = groupByKey(keys, { sortKeys }).map((group) => group.members);
    const [whole, rest] = [Math.floor(members.length / groupSize), members.length % groupSize];
    if (mode !== "allow-smaller" && whole === 0) {
      throw new RangeError(
        `Cannot partition in groups of keys (${mode}): expected at least ${groupSize} keys (groupSize), got ${members.length}`,
      );
    }
    if (mode === "strict" && rest > 0) {
      throw new RangeError(
        `Cannot partition in groups of keys (strict): expected a multiple of ${groupSize} keys (groupSize), got ${members.length}`,
      );
    }
    if (mode === "allow-bigger") return splitEvenly(members, whole).map((group) => group.flat());
    const groups = mode === "drop-remainder" ? whole : Math.ceil(members.length / groupSize);
    return Array.from(
      { length: groups },
      (_, k) => members.slice(k * groupSize, (k + 1) * groupSize).flat(),
    );
  },
});
