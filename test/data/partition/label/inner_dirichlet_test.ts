import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { innerDirichletPartitioner } from "../../../../src/data/partition/mod.ts";

const cycle = (length: number, numClasses: number): number[] =>
  Array.from({ length }, (_, i) => i % numClasses);
const count = (indices: readonly number[], labels: readonly number[], label: number): number =>
  indices.filter((i) => labels[i] === label).length;

describe("innerDirichletPartitioner()", () => {
  it("innerDirichletPartitioner() gives each client its size, whatever alpha", () => {
    const alpha = fc.oneof(
      fc.constantFrom(1e-300, 1e-9, 1e6),
      fc.double({ min: 0.01, max: 50, noNaN: true }),
    );
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        sizes,
        fc.nat(30),
        fc.integer({ min: 1, max: 6 }),
        alpha,
        fc.nat(),
        (s, more, c, a, seed) => {
          const numExamples = s.reduce((x, y) => x + y) + more;
          const labels = cycle(numExamples, c);
          const { clients, leftOut } = innerDirichletPartitioner({ sizes: s, alpha: a }).partition({
            numExamples,
            labels,
          }, { seed });
          assert.deepEqual(clients.map(({ length }) => length), s);
          assert.equal(leftOut.length, more);
        },
      ),
    );
  });

  it("innerDirichletPartitioner() mixes classes as alpha says, whatever the sizes", () => {
    const labels = cycle(1000, 4);
    const input = { numExamples: 1000, labels };
    const even = innerDirichletPartitioner({ numClients: 4, sizes: "linear", alpha: 1e6 }).partition(input, {
      seed: 1,
    });
    assert.deepEqual(even.clients.map(({ length }) => length), [100, 200, 300, 400]);
    for (const indices of even.clients) {
      for (let c = 0; c < 4; c++) {
        const share = count(indices, labels, c) / indices.length;
        // Binomial draws of at least 100: a standard deviation of at most 0.043; classes run out only at the very end.
        assert.ok(Math.abs(share - 0.25) < 5 * 0.0434, `${share}`);
      }
    }
    // No class runs out, so each client has the one that it drew.
    const skewed = innerDirichletPartitioner({ sizes: [60, 50, 40, 30], alpha: 1e-9 }).partition(input, {
      seed: 1,
    });
    for (const indices of skewed.clients) {
      assert.equal([0, 1, 2, 3].filter((c) => count(indices, labels, c) > 0).length, 1);
    }
  });

  it("innerDirichletPartitioner() takes a concentration for each class, in the order of the classes", () => {
    const labels = Array.from({ length: 400 }, (_, i) => i % 2 ? "rare" : "common");
    const partitioner = innerDirichletPartitioner({ sizes: [100], alpha: [1e6, 1e-3] });
    const input = { numExamples: 400, labels, classes: ["common", "rare"] };
    const [indices] = partitioner.partition(input, { seed: 1 }).clients;
    assert.ok(indices!.every((i) => labels[i] === "common"));
    const reversed = partitioner.partition({ ...input, classes: ["rare", "common"] }, { seed: 1 });
    assert.ok(reversed.clients[0]!.every((i) => labels[i] === "rare"));
    assert.throws(() => innerDirichletPartitioner({ sizes: [1], alpha: [1] }).partition(input, { seed: 1 }), {
      name: "RangeError",
      message: "Cannot partition (inner-dirichlet): expected an alpha for each of 2 classes, got 1",
    });
    assert.throws(() => partitioner.partition({ ...input, classes: ["common"] }, { seed: 1 }), {
      name: "RangeError",
      message: 'Cannot partition: expected each label to be one of the 1 classes, got "rare"',
    });
  });

  it("innerDirichletPartitioner() refuses sizes that don't fit", () => {
    const input = { numExamples: 5, labels: cycle(5, 2) };
    assert.throws(
      () => innerDirichletPartitioner({ sizes: [3, 3], alpha: 1 }).partition(input, { seed: 1 }),
      {
        name: "RangeError",
        message: "Cannot partition: expected sizes that sum to at most 5 examples, got 6",
      },
    );
    assert.throws(
      () => innerDirichletPartitioner({ alpha: 1 }),
      /numClients: expected a number, got nothing/,
    );
    assert.throws(
      () => innerDirichletPartitioner({ numClients: 3, sizes: [1, 2], alpha: 1 }),
      /sizes: expected 3 sizes, as many as numClients, got 2/,
    );
  });
});
