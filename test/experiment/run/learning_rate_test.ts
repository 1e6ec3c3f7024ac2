import assert from "node:assert/strict";
import { test } from "node:test";
import { roundSchedule } from "../../../src/experiment/run/learning_rate.ts";

/** Rates of the first `rounds` rounds, to 9 decimals. */
function rates(schedule: Parameters<typeof roundSchedule>[1]): number[] {
  return Array.from(
    { length: schedule.rounds },
    (_, round) => Number(roundSchedule(1, schedule)(round).toFixed(9)),
  );
}

test("roundSchedule() keeps a constant rate", () => {
  assert.deepEqual(rates({ rounds: 3, schedule: { kind: "constant" } }), [1, 1, 1]);
});

test("roundSchedule() falls from the peak in equal steps", () => {
  const schedule = { kind: "linear", warmupRounds: 0, finalShare: 0 } as const;
  assert.deepEqual(rates({ rounds: 4, schedule }), [1, 0.75, 0.5, 0.25]);
});

test("roundSchedule() warms up from above 0", () => {
  const schedule = { kind: "linear", warmupRounds: 1, finalShare: 0.5 } as const;
  // Half the peak, the peak, then two thirds and a third of the way from 1/2 to it.
  assert.deepEqual(rates({ rounds: 4, schedule }), [0.5, 1, 0.833333333, 0.666666667]);
});

test("roundSchedule() falls along half a cosine", () => {
  const schedule = { kind: "cosine", warmupRounds: 0, finalShare: 0 } as const;
  // (1 + cos(π·r/4)) / 2
  assert.deepEqual(rates({ rounds: 4, schedule }), [1, 0.853553391, 0.5, 0.146446609]);
});
