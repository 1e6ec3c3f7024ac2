import assert from "node:assert/strict";
import { test } from "node:test";
import { cohort } from "../../../src/fl/rounds/cohort.ts";

test("cohort() gives what is known of the clients that are asked", () => {
  const fleet = { numExamples: [3, 4, 5], sample: (round: number) => [0, round] };
  assert.deepEqual(cohort(fleet, 2, [7, 8, 9]), [
    { id: 0, numExamples: 3, lastRound: 7 },
    { id: 2, numExamples: 5, lastRound: 9 },
  ]);
  assert.deepEqual(cohort({ ...fleet, sample: () => [] }, 1, [0, 0, 0]), []);
});

test("cohort() refuses samples out of order, with strangers, or of clients without examples", () => {
  for (const ids of [[1, 0], [1, 1], [-1], [3], [0.5], [NaN]]) {
    assert.throws(() => cohort({ numExamples: [3, 4, 5], sample: () => ids }, 6, [0, 0, 0]), {
      name: "RangeError",
      message: `Cannot ask clients ${ids.join(", ")} in round 6: expected ascending numbers below 3`,
    });
  }
  for (const count of [0, NaN, -1, Infinity]) {
    assert.throws(() => cohort({ numExamples: [3, count], sample: () => [0, 1] }, 6, [0, 0]), {
      message: `Cannot ask client 1 in round 6: expected a positive number of examples, got ${count}`,
    });
  }
});
