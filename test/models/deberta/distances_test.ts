import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { distanceRows, logBucket } from "../../../src/models/mod.ts";
import { bucketOf } from "../../reference/deberta.ts";

test("logBucket() keeps near distances, and gives each bucket further off a greater share", () => {
  // 8 buckets up to 33: ⌈3·log(d/4)/log(8)⌉ + 4 doubles the width from bucket to bucket.
  const buckets = (distances: number[]) =>
    distances.map((each) => logBucket(each, { buckets: 8, furthest: 33 }));
  assert.deepEqual(buckets([0, 1, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33]), [
    0,
    1,
    4,
    5,
    5,
    5,
    6,
    6,
    6,
    7,
    7,
    7,
    8,
  ]);
  assert.deepEqual(buckets([-1, -4, -5, -32]), [-1, -4, -5, -7]);
});

test("logBucket() gives the buckets of transformers, those of the published checkpoints among them", () => {
  const golden = new URL("../../golden/deberta_v2/buckets.json", import.meta.url);
  const cases: { buckets: number; furthest: number; expected: number[] }[] = JSON.parse(
    readFileSync(golden, "utf8"),
  );
  assert.equal(cases.length, 7);
  for (const { expected, ...options } of cases) {
    assert.equal(expected.length, options.furthest);
    assert.deepEqual(expected.map((_, distance) => logBucket(distance, options)), expected);
  }
});

test("logBucket() agrees with the oracle's thresholds up to the furthest distance", () => {
  for (let buckets = 2; buckets <= 256; buckets += buckets < 40 ? 1 : 27) {
    for (const furthest of [buckets + 2, 100, 512, 1000]) {
      if (furthest - 1 <= buckets / 2) continue;
      for (let distance = 0; distance < furthest; distance++) {
        const expected = bucketOf(distance, { positionBuckets: buckets, maxRelativePositions: furthest });
        assert.equal(
          logBucket(distance, { buckets, furthest }),
          expected,
          `${distance}: ${buckets}, ${furthest}`,
        );
        assert.equal(logBucket(-distance, { buckets, furthest }) + expected, 0);
      }
    }
  }
});

test("distanceRows() centres distances in the table and cuts them off at its ends", () => {
  const rows = (
    positionBuckets: number | undefined,
    maxRelativePositions: number,
  ) => [...distanceRows({ positionBuckets, maxRelativePositions }, 5)];
  assert.deepEqual(rows(undefined, 3), [0, 0, 1, 2, 3, 4, 5, 5, 5]);
  assert.deepEqual(rows(undefined, 9), [5, 6, 7, 8, 9, 10, 11, 12, 13]);
  assert.deepEqual(rows(2, 9), [1, 1, 1, 1, 2, 3, 3, 3, 3]);
});
