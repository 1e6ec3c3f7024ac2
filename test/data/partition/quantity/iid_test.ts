import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { iidPartitioner } from "../../../../src/data/partition/mod.ts";

const partitionIid = (
  numExamples: number,
  { seed, ...options }: { numClients: number; seed: number },
): readonly (readonly number[])[] => iidPartitioner(options).partition({ numExamples }, { seed }).clients;

describe("iidPartitioner()", () => {
  it("iidPartitioner() uses every example once, in sizes that differ by at most one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.maxSafeNat(), (numExamples, k, seed) => {
        const numClients = 1 + (k % numExamples);
        const clients = partitionIid(numExamples, { numClients, seed });
        assert.equal(clients.length, numClients);
        assert.deepEqual(
          clients.flat().sort((a, b) => a - b),
          Array.from({ length: numExamples }, (_, i) => i),
        );
        for (const indices of clients) {
          assert.ok(
            indices.length === Math.floor(numExamples / numClients) ||
              indices.length === Math.ceil(numExamples / numClients),
          );
          assert.deepEqual(indices, indices.toSorted((a, b) => a - b));
        }
        assert.deepEqual(partitionIid(numExamples, { numClients, seed }), clients);
      }),
    );
  });

  it("iidPartitioner() shuffles: each example reaches each client equally often over the seeds", () => {
    const runs = 3000;
    const counts = Array.from({ length: 6 }, () => [0, 0, 0]);
    for (let seed = 0; seed < runs; seed++) {
      partitionIid(6, { numClients: 3, seed }).forEach((indices, k) =>
        indices.forEach((i) => counts[i]![k]!++)
      );
    }
    // Binomial(3000, 1/3) has a standard deviation of 25.8; five of them.
    for (const count of counts.flat()) assert.ok(Math.abs(count - runs / 3) < 5 * 25.9, `${counts}`);
  });

  it("iidPartitioner() refuses more clients than examples and counts that are none", () => {
    assert.throws(() => partitionIid(3, { numClients: 4, seed: 0 }), {
      name: "RangeError",
      message: /4 clients .* got 3/,
    });
    assert.throws(() => partitionIid(0, { numClients: 1, seed: 0 }), RangeError);
    for (const bad of [0, -1, 1.5, NaN]) {
      assert.throws(() => partitionIid(10, { numClients: bad, seed: 0 }), {
        name: "RangeError",
        message: /numClients/,
      });
    }
    for (const bad of [-1, 1.5, NaN]) {
      assert.throws(() => partitionIid(bad, { numClients: 1, seed: 0 }), /numExamples/);
    }
    assert.throws(() => partitionIid(10, { numClients: 2, seed: -1 }), {
      name: "RangeError",
      message: /seed/,
    });
  });
});
