import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { naturalIdPartitioner } from "../../../../src/data/partition/mod.ts";

const partitionByKey = (keys: readonly string[], options = {}): readonly (readonly number[])[] =>
  naturalIdPartitioner(options).partition({ numExamples: keys.length, keys }, { seed: 1 }).clients;

describe("naturalIdPartitioner()", () => {
  it("naturalIdPartitioner() gives each key one client, in order of first appearance", () => {
    assert.deepEqual(partitionByKey(["b", "a", "b", "__proto__", "1", "a"]), [[0, 2], [1, 5], [3], [4]]);
  });

  it("naturalIdPartitioner() uses every example once, beside those of its own key only", () => {
    fc.assert(fc.property(fc.array(fc.constantFrom("x", "y", "z", "10", "9"), { minLength: 1 }), (keys) => {
      const clients = partitionByKey(keys);
      const names = [...new Set(keys)];
      assert.equal(clients.length, names.length);
      assert.deepEqual(clients.flat().sort((a, b) => a - b), [...keys.keys()]);
      for (const [k, indices] of clients.entries()) assert.ok(indices.every((i) => keys[i] === names[k]));
    }));
  });

  it("naturalIdPartitioner() refuses examples without a key, and none", () => {
    assert.throws(() => partitionByKey([]), { name: "RangeError", message: /got 0/ });
    assert.throws(() => partitionByKey(["a", ""]), { name: "TypeError", message: /example 1 .* got ""/ });
    assert.throws(() => partitionByKey(["a", undefined as unknown as string]), {
      name: "TypeError",
      message: /example 1/,
    });
  });
});
