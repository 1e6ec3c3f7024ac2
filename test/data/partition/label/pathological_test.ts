import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { pathologicalPartitioner } from "../../../../src/data/partition/mod.ts";

const assignments = ["random", "first-deterministic", "deterministic"] as const;

describe("pathologicalPartitioner()", () => {
  it("pathologicalPartitioner() gives each client exactly its number of classes, in equal parts", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(...assignments),
        fc.maxSafeNat(),
        (numClasses, some, numClients, assignment, seed) => {
          const classesPerClient = 1 + some % numClasses;
          const labels = Array.from({ length: 20 * numClasses }, (_, i) => i % numClasses);
          const partition = pathologicalPartitioner({ numClients, classesPerClient, assignment })
            .partition({ numExamples: labels.length, labels }, { seed });
          const parts = partition.clients.map((indices) => {
            const counts = new Map<number, number>();
            for (const i of indices) counts.set(labels[i]!, (counts.get(labels[i]!) ?? 0) + 1);
            return counts;
          });
          for (const counts of parts) assert.equal(counts.size, classesPerClient);
          for (let c = 0; c < numClasses; c++) {
            const sizes = parts.flatMap((counts) => counts.has(c) ? [counts.get(c)!] : []);
            if (sizes.length === 0) continue;
            assert.equal(sizes.reduce((a, b) => a + b), 20);
            assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
          }
          const unused = [...labels.keys()].filter((i) => !parts.some((counts) => counts.has(labels[i]!)));
          assert.deepEqual(partition.leftOut, unused);
        },
      ),
    );
  });

  it("pathologicalPartitioner() assigns the first class, or all, by the client's number", () => {
    const labels = Array.from({ length: 100 }, (_, i) => i % 5);
    const held = (assignment: "first-deterministic" | "deterministic") =>
      pathologicalPartitioner({ numClients: 7, classesPerClient: 2, assignment })
        .partition({ numExamples: 100, labels }, { seed: 3 }).clients
        .map((indices) => [...new Set(indices.map((i) => labels[i]!))].sort());
    assert.deepEqual(held("deterministic"), [[0, 1], [1, 2], [2, 3], [3, 4], [0, 4], [0, 1], [1, 2]]);
    for (const [k, classes] of held("first-deterministic").entries()) assert.ok(classes.includes(k % 5));
  });

  it("pathologicalPartitioner() refuses too many classes, and classes too small for their clients", () => {
    const input = { numExamples: 4, labels: ["a", "a", "a", "b"] };
    assert.throws(
      () => pathologicalPartitioner({ numClients: 2, classesPerClient: 3 }).partition(input, { seed: 1 }),
      {
        name: "RangeError",
        message:
          "Cannot partition (pathological): expected at most 2 classesPerClient, as many as there are classes, got 3",
      },
    );
    assert.throws(
      () => pathologicalPartitioner({ numClients: 2, classesPerClient: 2 }).partition(input, { seed: 1 }),
      {
        name: "RangeError",
        message:
          'Cannot partition (pathological): class "b" has 1 examples for 2 clients; lower numClients or classesPerClient, ' +
          'or set assignment to "deterministic"',
      },
    );
  });
});
