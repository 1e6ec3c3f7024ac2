import assert from "node:assert/strict";
import { test } from "node:test";
import { describeTimeLeft, TimeLeft } from "../../../src/cli/terminal/time_left.ts";

test("TimeLeft.update() goes by the pace of the last minute", (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const time = new TimeLeft();
  assert.equal(time.update(0, 100), undefined);
  t.mock.timers.tick(10_000);
  // Two steps in ten seconds: 98 more take 490 s.
  assert.equal(time.update(2, 100), 490);
  // Five seconds without news have gone by.
  t.mock.timers.tick(5_000);
  assert.equal(time.update(2, 100), 485);
  // A step a second for two minutes: what was before is forgotten.
  for (let done = 3; done <= 60; done++) {
    t.mock.timers.tick(1_000);
    time.update(done, 200);
  }
  t.mock.timers.tick(20_000);
  for (let done = 61; done <= 140; done++) {
    t.mock.timers.tick(1_000);
    time.update(done, 200);
  }
  assert.equal(time.update(140, 200), 60);
});

test("describeTimeLeft() rounds as people do", () => {
  const told = [0, 4, 36, 55, 89, 3000, 3600, 12_000, 43_000].map(describeTimeLeft);
  assert.deepEqual(told, [
    "about 5 s left",
    "about 5 s left",
    "about 40 s left",
    "about 1 min left",
    "about 1 min left",
    "about 50 min left",
    "about 1 h left",
    "about 3 h 20 min left",
    "about 12 h left",
  ]);
});
