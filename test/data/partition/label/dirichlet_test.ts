import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { dirichletPartitioner } from "../../../../src/data/partition/mod.ts";

const partitionDirichlet = (
  labels: ArrayLike<number | string>,
  { seed, ...options }: Parameters<typeof dirichletPartitioner>[0] & { seed: number },
): readonly (readonly number[])[] =>
  dirichletPartitioner(options).partition({ numExamples: labels.length, labels }, { seed }).clients;

const cycle = (length: number, numClasses: number): number[] =>
  Array.from({ length }, (_, i) => i % numClasses);

/** The share of the most frequent class in each client, averaged over clients by size. */
function purity(clients: readonly (readonly number[])[], labels: readonly number[]): number {
  const largest = clients.map((indices) => {
    const counts = new Map<number, number>();
    for (const i of indices) counts.set(labels[i]!, (counts.get(labels[i]!) ?? 0) + 1);
    return Math.max(...counts.values());
  });
  return largest.reduce((a, b) => a + b) / labels.length;
}

describe("dirichletPartitioner()", () => {
  it("dirichletPartitioner() uses every example once and keeps the minimum, whatever alpha", () => {
    const alpha = fc.oneof(
      fc.constantFrom(1e-300, 1e-6, 1e6),
      fc.double({ min: 0.01, max: 100, noNaN: true }),
    );
    const labels = fc.array(fc.oneof(fc.nat(5), fc.constantFrom("spam", "ham")), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(fc.property(labels, alpha, fc.nat(), fc.nat(), fc.maxSafeNat(), (y, a, k, m, seed) => {
      const numClients = 1 + (k % y.length);
      const minSize = 1 + (m % Math.floor(y.length / numClients));
      const options = { numClients, alpha: a, minSize, seed };
      const clients = partitionDirichlet(y, options);
      assert.equal(clients.length, numClients);
      assert.deepEqual(clients.flat().sort((i, j) => i - j), [...y.keys()]);
      for (const indices of clients) {
        assert.ok(indices.length >= minSize);
        assert.deepEqual(indices, indices.toSorted((i, j) => i - j));
      }
      assert.deepEqual(partitionDirichlet(y, options), clients);
    }));
  });

  it("dirichletPartitioner() lets the first of the largest clients give examples away", () => {
    // As the plain rule gives it, which looks for the largest client before each example is moved.
    assert.deepEqual(
      partitionDirichlet(cycle(16, 2), { numClients: 6, alpha: 0.1, minSize: 2, seed: 3 }),
      [[3, 10], [1, 7], [13, 15], [4, 5, 9, 11], [12, 14], [0, 2, 6, 8]],
    );
  });

  it("dirichletPartitioner() gives 200,000 clients their minimum", () => {
    const clients = partitionDirichlet(cycle(400_000, 4), { numClients: 200_000, alpha: 0.3, seed: 1 });
    assert.equal(clients.length, 200_000);
    assert.ok(clients.every(({ length }) => length >= 1));
    assert.equal(clients.reduce((sum, { length }) => sum + length, 0), 400_000);
  });

  it("dirichletPartitioner() depends on the seed", () => {
    const y = cycle(100, 3);
    const partition = (seed: number): readonly (readonly number[])[] =>
      partitionDirichlet(y, { numClients: 5, alpha: 1, seed });
    assert.notDeepEqual(partition(1), partition(2));
  });

  it("dirichletPartitioner() is near IID for large alpha", () => {
    const y = cycle(10_000, 4);
    for (const indices of partitionDirichlet(y, { numClients: 10, alpha: 1e6, seed: 3 })) {
      // 250 of each class; a share's standard deviation is sqrt(0.1 · 0.9 / 1e7) < 1e-4, so rounding dominates.
      for (let c = 0; c < 4; c++) {
        const count = indices.filter((i) => y[i] === c).length;
        assert.ok(Math.abs(count - 250) <= 3, `class ${c}: ${count}`);
      }
    }
  });

  it("dirichletPartitioner() gives whole classes to single clients for tiny alpha", () => {
    const y = cycle(3000, 6);
    const clients = partitionDirichlet(y, { numClients: 3, alpha: 1e-4, seed: 5 });
    for (let c = 0; c < 6; c++) {
      const largest = Math.max(...clients.map((indices) => indices.filter((i) => y[i] === c).length));
      // One example may have been given to a client that drew nothing.
      assert.ok(largest >= 498, `class ${c}: ${largest} of 500`);
    }
  });

  it("dirichletPartitioner() spreads a class with the variance of the distribution", () => {
    // One class, 4 clients: the first client's share is Beta(a, 3a), mean 1/4, variance 3/(16(4a + 1)).
    const y = new Uint8Array(2000);
    for (const alpha of [0.3, 2]) {
      const shares = Array.from(
        { length: 1500 },
        (_, seed) => partitionDirichlet(y, { numClients: 4, alpha, seed })[0]!.length / y.length,
      );
      const mean = shares.reduce((a, b) => a + b) / shares.length;
      const squares = shares.map((share) => (share - mean) ** 2);
      const variance = squares.reduce((a, b) => a + b) / shares.length;
      const spread = squares.reduce((a, b) => a + (b - variance) ** 2, 0) / shares.length;
      const expected = 3 / (16 * (4 * alpha + 1));
      // Five standard errors; filling up to one example moves a share by 1/2000, added on top.
      assert.ok(Math.abs(mean - 0.25) < 5 * Math.sqrt(expected / 1500) + 5e-4, `mean ${mean}`);
      assert.ok(Math.abs(variance - expected) < 5 * Math.sqrt(spread / 1500) + 5e-4, `variance ${variance}`);
    }
  });

  it("dirichletPartitioner() skews labels more the smaller alpha is", () => {
    const y = cycle(5000, 5);
    const averages = [0.05, 0.5, 5, 500].map((alpha) => {
      const runs = Array.from(
        { length: 20 },
        (_, seed) => purity(partitionDirichlet(y, { numClients: 10, alpha, seed }), y),
      );
      return runs.reduce((a, b) => a + b) / runs.length;
    });
    for (let i = 1; i < averages.length; i++) {
      assert.ok(averages[i]! < averages[i - 1]! - 0.02, `${averages}`);
    }
    assert.ok(averages.at(-1)! < 0.25, "an even mix of five classes has a purity of 0.2");
  });

  it("dirichletPartitioner() refuses clients that cannot have their minimum, and alpha that is none", () => {
    const y = cycle(20, 2);
    const options = { numClients: 5, alpha: 1, seed: 0 };
    assert.throws(() => partitionDirichlet(y, { ...options, numClients: 21 }), {
      name: "RangeError",
      message: /21 clients .* got 20/,
    });
    assert.throws(() => partitionDirichlet(y, { ...options, minSize: 5 }), {
      name: "RangeError",
      message: /at least 5 each, got 20/,
    });
    assert.throws(() => partitionDirichlet([], options), RangeError);
    for (const bad of [0, -1, NaN, Infinity]) {
      assert.throws(() => partitionDirichlet(y, { ...options, alpha: bad }), {
        name: "RangeError",
        message: new RegExp(`alpha: .* got ${bad}`),
      });
    }
    for (const bad of [0, 1.5, NaN]) {
      assert.throws(() => partitionDirichlet(y, { ...options, minSize: bad }), /minSize/);
    }
    assert.throws(() => partitionDirichlet(y, { ...options, seed: 0.5 }), {
      name: "RangeError",
      message: /seed/,
    });
  });
});
