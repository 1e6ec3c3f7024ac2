import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { labelPermutations } from "../../../../src/data/partition/mod.ts";

describe("labelPermutations()", () => {
  it("labelPermutations() gives each client a permutation, and repeats none before all have occurred", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 30 }),
        fc.maxSafeNat(),
        (c, k, seed) => {
          const options = { numClients: k, numClasses: c, seed };
          const permutations = labelPermutations(options);
          assert.equal(permutations.length, k);
          for (const each of permutations) {
            assert.deepEqual(each.toSorted((a, b) => a - b), Array.from({ length: c }, (_, i) => i));
          }
          const factorial = Array.from({ length: c }, (_, i) => i + 1).reduce((a, b) => a * b);
          const counts = new Map<string, number>();
          for (const each of permutations) counts.set(each.join(), (counts.get(each.join()) ?? 0) + 1);
          assert.ok(Math.max(...counts.values()) <= Math.ceil(k / factorial));
          assert.deepEqual(labelPermutations(options), permutations);
        },
      ),
    );
  });

  it("labelPermutations() draws every permutation equally often over the seeds", () => {
    const counts = new Map<string, number>();
    const runs = 3000;
    for (let seed = 0; seed < runs; seed++) {
      const [first] = labelPermutations({ numClients: 1, numClasses: 3, seed });
      counts.set(first!.join(), (counts.get(first!.join()) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    // Binomial(3000, 1/6): a standard deviation of 20.4; five of them.
    for (const count of counts.values()) assert.ok(Math.abs(count - 500) < 5 * 20.5, `${count}`);
  });

  it("labelPermutations() refuses numbers that are none", () => {
    for (const bad of [0, -1, 1.5, NaN]) {
      assert.throws(() => labelPermutations({ numClients: bad, numClasses: 2, seed: 1 }), {
        name: "RangeError",
        message: `Cannot permute labels: numClients must be a positive integer, got ${bad}`,
      });
      assert.throws(() => labelPermutations({ numClients: 2, numClasses: bad, seed: 1 }), /numClasses/);
    }
  });
});
