import assert from "node:assert/strict";
import { test } from "node:test";
import { measureSkew } from "../../../src/data/partition/mod.ts";

test("measureSkew() measures sizes, distances and effective classes, worked by hand", () => {
  const { sizes, totalVariation, effectiveClasses } = measureSkew([4, 2, 2], [[2, 2, 0], [0, 2, 0], [
    0,
    0,
    2,
  ]]);
  assert.deepEqual(sizes, { min: 2, median: 2, max: 4 });
  // All together: 1/4, 1/2, 1/4. Distances: ½(1/4 + 0 + 1/4), ½(1/4 + 1/2 + 1/4), ½(1/4 + 1/2 + 3/4).
  assert.deepEqual(totalVariation, { mean: (0.25 + 0.5 + 0.75) / 3, max: 0.75 });
  assert.ok(Math.abs(effectiveClasses!.mean - 4 / 3) < 1e-15);
  assert.ok(Math.abs(effectiveClasses!.max - 2) < 1e-15);
  assert.equal(effectiveClasses!.min, 1);
});

test("measureSkew() takes the mean of the two middle sizes, and says nothing of labels where there are none", () => {
  assert.deepEqual(measureSkew([1, 5, 2, 9]), { sizes: { min: 1, median: 3.5, max: 9 } });
  assert.deepEqual(measureSkew([3], [[0, 0]]), { sizes: { min: 3, median: 3, max: 3 } });
  // A client without any label doesn't count.
  assert.deepEqual(measureSkew([3, 1], [[0, 0], [1, 1]]).totalVariation, { mean: 0, max: 0 });
});

test("measureSkew() refuses no clients, and counts of others", () => {
  assert.throws(() => measureSkew([]), RangeError);
  assert.throws(() => measureSkew([1, 2], [[1]]), {
    name: "RangeError",
    message: /each of 2 clients.* got 1/,
  });
});
