import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { shardPartitioner } from "../../../../src/data/partition/mod.ts";

describe("shardPartitioner()", () => {
  it("shardPartitioner() deals out blocks of the examples sorted by class", () => {
    // Ten of each of four classes: shards of five have one class each.
    const labels = Array.from({ length: 40 }, (_, i) => i % 4);
    for (let seed = 0; seed < 10; seed++) {
      const { clients, leftOut } = shardPartitioner({ numClients: 4, shardsPerClient: 2 })
        .partition({ numExamples: 40, labels }, { seed });
      assert.deepEqual(leftOut, []);
      for (const indices of clients) {
        assert.equal(indices.length, 10);
        const counts = [0, 1, 2, 3].map((c) => indices.filter((i) => labels[i] === c).length);
        assert.ok(counts.every((count) => count % 5 === 0), `${counts}`);
      }
    }
  });

  it("shardPartitioner() deals all shards out without a number for each, and keeps the last one if told", () => {
    const labels = new Array<string>(23).fill("a");
    const sizes = (keepIncompleteShard: boolean) =>
      shardPartitioner({ numClients: 3, shardSize: 5, keepIncompleteShard })
        .partition({ numExamples: 23, labels }, { seed: 1 });
    assert.deepEqual(sizes(false).clients.map(({ length }) => length), [10, 5, 5]);
    assert.equal(sizes(false).leftOut.length, 3);
    const kept = sizes(true).clients.map(({ length }) => length);
    assert.equal(kept.reduce((a, b) => a + b), 23);
    assert.deepEqual(kept.toSorted((a, b) => a - b).at(-1)! >= 8, true);
  });

  it("shardPartitioner() refuses shards that are too few or need too many examples", () => {
    const input = { numExamples: 10, labels: new Array<number>(10).fill(0) };
    const partition = (options: Parameters<typeof shardPartitioner>[0]) => () =>
      shardPartitioner(options).partition(input, { seed: 1 });
    assert.throws(partition({ numClients: 4, shardsPerClient: 3 }), {
      name: "RangeError",
      message:
        "Cannot partition (shard): expected at least 12 examples for 4 clients with 3 shards of 1, got 10",
    });
    assert.throws(partition({ numClients: 2, shardsPerClient: 2, shardSize: 3 }), {
      message:
        "Cannot partition (shard): expected at least 12 examples for 2 clients with 2 shards of 3, got 10",
    });
    assert.throws(partition({ numClients: 4, shardSize: 3 }), {
      message: /expected a shard for each of 4 clients, got 3 of 3 examples/,
    });
    assert.throws(partition({ numClients: 4 }), /expected shardsPerClient or shardSize, got neither/);
    assert.throws(partition({ numClients: 11, shardSize: 1 }), /11 clients need at least 1 each, got 10/);
  });
});
