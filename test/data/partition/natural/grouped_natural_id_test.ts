import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { groupedNaturalIdPartitioner } from "../../../../src/data/partition/mod.ts";

type Options = Parameters<typeof groupedNaturalIdPartitioner>[0];
const keys = ["d", "a", "b", "a", "e", "c"];
const partition = (options: Options) =>
  groupedNaturalIdPartitioner(options).partition({ numExamples: 6, keys }, { seed: 1 });

describe("groupedNaturalIdPartitioner()", () => {
  it("groupedNaturalIdPartitioner() groups keys as they first occur, or sorted, and treats the rest as the mode says", () => {
    assert.deepEqual(partition({ groupSize: 2 }).clients, [[0, 1, 3], [2, 4], [5]]);
    assert.deepEqual(partition({ groupSize: 2, sortKeys: true }).clients, [[1, 2, 3], [0, 5], [4]]);
    assert.deepEqual(partition({ groupSize: 2, mode: "allow-bigger" }).clients, [[0, 1, 2, 3], [4, 5]]);
    assert.deepEqual(partition({ groupSize: 2, mode: "drop-remainder" }), {
      clients: [[0, 1, 3], [2, 4]],
      leftOut: [5],
    });
    assert.deepEqual(partition({ groupSize: 5, mode: "strict" }).clients, [[0, 1, 2, 3, 4, 5]]);
    assert.deepEqual(partition({ groupSize: 9 }).clients, [[0, 1, 2, 3, 4, 5]]);
  });

  it("groupedNaturalIdPartitioner() refuses keys that don't make whole groups where they must", () => {
    assert.throws(() => partition({ groupSize: 2, mode: "strict" }), {
      name: "RangeError",
      message:
        "Cannot partition in groups of keys (strict): expected a multiple of 2 keys (groupSize), got 5",
    });
    assert.throws(() => partition({ groupSize: 6, mode: "drop-remainder" }), {
      name: "RangeError",
      message: /\(drop-remainder\): expected at least 6 keys \(groupSize\), got 5/,
    });
  });
});
