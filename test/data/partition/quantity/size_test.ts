import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  exponentialPartitioner,
  linearPartitioner,
  sizePartitioner,
} from "../../../../src/data/partition/mod.ts";

const sizesOf = (options: Parameters<typeof sizePartitioner>[0], numExamples: number, seed = 1): number[] =>
  sizePartitioner(options).partition({ numExamples }, { seed }).clients.map(({ length }) => length);

describe("sizePartitioner()", () => {
  it("sizePartitioner() takes sizes from a list or by a rule", () => {
    assert.deepEqual(sizesOf({ sizes: [2, 1, 4] }, 9), [2, 1, 4]);
    assert.deepEqual(sizesOf({ sizes: "equal", numClients: 3 }, 10), [4, 3, 3]);
    assert.deepEqual(sizesOf({ sizes: "linear", numClients: 4 }, 100), [10, 20, 30, 40]);
    assert.deepEqual(sizesOf({ sizes: "square", numClients: 4 }, 100), [3, 13, 30, 54]);
    assert.deepEqual(sizesOf({ sizes: "exponential", numClients: 4 }, 100), [3, 8, 23, 66]);
    assert.deepEqual(sizesOf({ sizes: [5] }, 5), [5]);
    assert.deepEqual(sizesOf({ sizes: [1, 1, 1] }, 3), [1, 1, 1]);
  });

  it("sizePartitioner() draws sizes from Dirichlet(alpha), and keeps the minimum", () => {
    for (const alpha of [1e-300, 0.1, 1, 1e6]) {
      for (let seed = 0; seed < 20; seed++) {
        const sizes = sizesOf({ numClients: 7, sizes: { alpha, minSize: 3 } }, 200, seed);
        assert.equal(sizes.reduce((a, b) => a + b), 200);
        assert.ok(Math.min(...sizes) >= 3);
        if (alpha === 1e-300) assert.equal(Math.max(...sizes), 200 - 6 * 3);
        if (alpha === 1e6) assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 2, `${sizes}`);
      }
    }
    assert.deepEqual(sizesOf({ numClients: 4, sizes: { alpha: 0.1 } }, 4), [1, 1, 1, 1]);
  });

  it("sizePartitioner() spreads a size with the variance of the distribution", () => {
    const [alpha, numClients, runs] = [0.5, 4, 3000];
    const shares = Array.from(
      { length: runs },
      (_, seed) => (sizesOf({ numClients, sizes: { alpha } }, 2004, seed)[0]! - 1) / 2000,
    );
    const mean = shares.reduce((a, b) => a + b) / runs;
    const squares = shares.map((share) => (share - mean) ** 2);
    const variance = squares.reduce((a, b) => a + b) / runs;
    const spread = squares.reduce((a, b) => a + (b - variance) ** 2, 0) / runs;
    // Beta(a, 3a): mean 1/4, variance 3/(16(4a + 1)) = 1/16; five standard errors, and half an example of rounding.
    assert.ok(Math.abs(mean - 0.25) < 5 * Math.sqrt(1 / 16 / runs) + 2.5e-4, `${mean}`);
    assert.ok(Math.abs(variance - 1 / 16) < 5 * Math.sqrt(spread / runs) + 2.5e-4, `${variance}`);
  });

  it("sizePartitioner() refuses sizes that it can't give", () => {
    assert.throws(() => sizesOf({ sizes: [3, 3] }, 5), /sum to at most 5 examples, got 6/);
    assert.throws(() => sizesOf({ sizes: [3, 0] }, 5), /sizes.*: expected at least 1, got 0/);
    assert.throws(
      () => sizesOf({ sizes: "lineal" as "linear", numClients: 2 }, 5),
      /expected one of|expected "equal"|Invalid option/,
    );
    assert.throws(() => sizesOf({ sizes: "linear" }, 5), /numClients: expected a number, got nothing/);
    assert.throws(
      () => sizesOf({ sizes: { alpha: 1, minSize: 3 }, numClients: 2 }, 5),
      /2 clients need at least 3 each, got 5/,
    );
    assert.throws(
      () => sizesOf({ sizes: "equal", numClients: 6 }, 5),
      /6 clients need at least 1 each, got 5/,
    );
  });
});

describe("linearPartitioner() and exponentialPartitioner()", () => {
  it("linearPartitioner() and exponentialPartitioner() refuse numbers of clients that leave the first with nothing", () => {
    // Its share is 1/55 of 50.
    assert.throws(() => linearPartitioner({ numClients: 10 }).partition({ numExamples: 50 }, { seed: 1 }), {
      name: "RangeError",
      message:
        "Cannot partition: expected at least 1 example for each client, got 0 for the first of 10 with linear sizes " +
        "of 50 examples; lower numClients",
    });
    // e to the 1000th power is infinite.
    assert.throws(
      () => exponentialPartitioner({ numClients: 1000 }).partition({ numExamples: 10_000 }, { seed: 1 }),
      { name: "RangeError", message: /got 0 for the first of 1000 with exponential sizes/ },
    );
  });
});
