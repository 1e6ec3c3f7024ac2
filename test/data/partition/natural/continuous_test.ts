import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { continuousPartitioner } from "../../../../src/data/partition/mod.ts";

const partition = (
  values: readonly number[],
  options: { numClients: number; strictness: number },
  seed = 1,
) => continuousPartitioner(options).partition({ numExamples: values.length, values }, { seed }).clients;

/** The variance between the clients' means, as a part of the whole. */
function between(values: readonly number[], clients: readonly (readonly number[])[]): number {
  const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
  const all = mean(values);
  const means = clients.map((indices) => mean(indices.map((i) => values[i]!)));
  return mean(means.map((each) => (each - all) ** 2)) / mean(values.map((each) => (each - all) ** 2));
}

describe("continuousPartitioner()", () => {
  it("continuousPartitioner() gives ranges of values for strictness 1, whatever their scale", () => {
    for (const scale of [1, 1e300, 1e-300, 5e-324]) {
      const values = [5, -3, 2, 5, 0, 1].map((value) => value * scale);
      assert.deepEqual(
        partition(values, { numClients: 3, strictness: 1 }),
        [[1, 4], [2, 5], [0, 3]],
        `${scale}`,
      );
    }
  });

  it("continuousPartitioner() separates values the more the stricter it is", () => {
    const values = Array.from({ length: 600 }, (_, i) => (i * 37) % 600);
    const found = [0, 0.4, 0.7, 1].map((strictness) => {
      const runs = Array.from(
        { length: 10 },
        (_, seed) => between(values, partition(values, { numClients: 6, strictness }, seed)),
      );
      return runs.reduce((a, b) => a + b) / runs.length;
    });
    // Independent of the values, means of 100 vary by 1/100 of the variance.
    assert.ok(found[0]! < 0.03, `${found}`);
    for (let i = 1; i < found.length; i++) assert.ok(found[i]! > found[i - 1]! + 0.05, `${found}`);
    // Six ranges of a uniform distribution: 1 − 1/36 of the variance is between them.
    assert.ok(Math.abs(found[3]! - 35 / 36) < 1e-4, `${found[3]}`);
  });

  it("continuousPartitioner() refuses equal values and such that aren't finite", () => {
    assert.throws(() => partition([0.1, 0.1, 0.1], { numClients: 2, strictness: 0.5 }), {
      name: "RangeError",
      message: "Cannot partition (continuous): expected values that differ, got equal ones",
    });
    assert.equal(partition([0.1, 0.1, 0.1], { numClients: 2, strictness: 0 }).length, 2);
    for (const bad of [NaN, Infinity]) {
      assert.throws(() => partition([1, bad], { numClients: 1, strictness: 1 }), {
        name: "TypeError",
        message:
          `Cannot partition (continuous): expected a finite value of each example, got ${bad} of example 1`,
      });
    }
    assert.throws(
      () => partition([1, 2], { numClients: 3, strictness: 1 }),
      /3 clients need at least 1 each/,
    );
    assert.throws(
      () => partition([1, 2], { numClients: 1, strictness: 1.1 }),
      /strictness: expected at most 1/,
    );
  });
});
