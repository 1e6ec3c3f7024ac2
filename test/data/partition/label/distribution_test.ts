import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { distributionPartitioner } from "../../../../src/data/partition/mod.ts";

const labels = Array.from({ length: 60 }, (_, i) => "abc"[i % 3]!);
const input = { numExamples: 60, labels };

function countsOf(options: Parameters<typeof distributionPartitioner>[0], seed = 1): number[][] {
  return distributionPartitioner(options).partition(input, { seed }).clients.map((indices) =>
    [..."abc"].map((label) => indices.filter((i) => labels[i] === label).length)
  );
}

describe("distributionPartitioner()", () => {
  it("distributionPartitioner() gives client k the class k and those after it, in the shares of their rows", () => {
    // Class a: clients 0 and 2 (of 3); b: 0 and 1; c: 1 and 2. Two each, then 3/4 and 1/4 of the 16 others, and so on.
    const distribution = [[3, 1], [1, 1], [1, 3]];
    assert.deepEqual(
      countsOf({ numClients: 3, classesPerClient: 2, distribution, minPerClass: 2 }),
      [[14, 10, 0], [0, 10, 6], [6, 0, 14]],
    );
  });

  it("distributionPartitioner() takes numbers of examples as they are without rescale, and leaves the others out", () => {
    const options = { numClients: 3, classesPerClient: 1, distribution: [[1], [20], [3]], rescale: false };
    assert.deepEqual(countsOf(options), [[1, 0, 0], [0, 20, 0], [0, 0, 3]]);
    assert.equal(distributionPartitioner(options).partition(input, { seed: 1 }).leftOut.length, 36);
  });

  it("distributionPartitioner() draws log-normal shares: all equal for sigma 0, far from it for 3", () => {
    const options = { numClients: 6, classesPerClient: 2, minPerClass: 1 };
    const even = countsOf({ ...options, distribution: { logNormal: { sigma: 0 } } });
    assert.deepEqual(even.flat().filter((count) => count > 0), new Array(12).fill(5));
    const skewed = countsOf({ ...options, distribution: { logNormal: { sigma: 3 } } });
    assert.ok(Math.max(...skewed.flat()) > 10);
    assert.equal(skewed.flat().reduce((a, b) => a + b), 60);
    assert.equal(skewed.flat().filter((count) => count > 0).length, 12);
  });

  it("distributionPartitioner() refuses tables that don't fit, and more than there is", () => {
    const options = { numClients: 3, classesPerClient: 2, distribution: [[1, 1], [1, 1], [1, 1]] };
    const partition = (change: object) => () =>
      distributionPartitioner({ ...options, ...change }).partition(input, { seed: 1 });
    for (
      const [change, message] of [
        [{ numClients: 4 }, /expected numClients to be a multiple of the 3 classes, got 4/],
        [{ classesPerClient: 4 }, /expected at most 3 classesPerClient, as many as there are classes, got 4/],
        [{ distribution: [[1, 1], [1, 1]] }, /expected a table of 3 classes × 2 holders of each, got 2 rows/],
        [{ distribution: [[1, 1], [1], [1, 1]] }, /3 classes × 2 holders of each, got a row of 1/],
        [{ distribution: [[1, 1], [0, 0], [1, 1]] }, /expected row 1 \(from 0\) to sum to more than 0/],
        [
          { minPerClass: 11 },
          /class 0 .* has 20 examples, expected at least 11 \(minPerClass\) for each of 2 clients/,
        ],
        [
          { rescale: false, distribution: [[20, 1], [1, 1], [1, 1]] },
          /row 0 .* asks for 21 examples, its class has 20/,
        ],
        [{ rescale: false, minPerClass: 1 }, /minPerClass: has no effect with rescale: false/],
        [
          { rescale: false, distribution: { logNormal: { sigma: 1 } } },
          /rescale: expected true, as logNormal/,
        ],
        [
          { rescale: false, distribution: [[0.5, 1], [1, 1], [1, 1]] },
          /distribution: expected whole numbers/,
        ],
        [{ distribution: [[1, -1], [1, 1], [1, 1]] }, /distribution.*: expected at least 0, got -1/],
      ] as const
    ) {
      assert.throws(partition(change), { name: "RangeError", message });
    }
  });
});
