import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { magnitudes } from "../../support/arbitraries.ts";
import {
  constantSchedule,
  cosineSchedule,
  linearSchedule,
  type Schedule,
} from "../../../src/engine/optim/schedule.ts";

/** A few roundings of numbers of at most this size. */
function assertClose(actual: number, expected: number): void {
  assert.ok(
    Math.abs(actual - expected) <= 4e-16 * Math.max(1, Math.abs(expected)),
    `${actual} is not ${expected}`,
  );
}

const rates = (schedule: Schedule, steps: readonly number[]): number[] => steps.map((step) => schedule(step));

describe("constantSchedule()", () => {
  it("constantSchedule() gives the same rate at every step", () => {
    assert.deepEqual(rates(constantSchedule(0.1), [0, 1, 1e9]), [0.1, 0.1, 0.1]);
    assert.equal(constantSchedule(0)(3), 0);
  });
});

describe("linearSchedule()", () => {
  it("linearSchedule() rises over the warm-up and falls to zero", () => {
    // Warm-up 4: 0, 2, 4, 6 of 8; then 8 steps from 8 down to 0.
    const expected = [0, 2, 4, 6, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0];
    assert.deepEqual(expected.map((_, step) => linearSchedule(8, 12, { warmupSteps: 4 })(step)), expected);
  });

  it("linearSchedule() ends at the final rate, without a warm-up or with nothing else", () => {
    assert.deepEqual(rates(linearSchedule(5, 4, { finalRate: 1 }), [0, 1, 2, 3, 4, 100]), [5, 4, 3, 2, 1, 1]);
    assert.deepEqual(rates(linearSchedule(4, 2, { warmupSteps: 2 }), [0, 1, 2, 3]), [0, 2, 0, 0]);
    assert.deepEqual(rates(linearSchedule(4, 1), [0, 1]), [4, 0]);
  });
});

describe("cosineSchedule()", () => {
  it("cosineSchedule() passes the known points of half a cosine", () => {
    const schedule = cosineSchedule(2, 14, { warmupSteps: 2 });
    // After the warm-up: cos 0, cos 60°, cos 90°, cos 120°, cos 180° at 0, 4, 6, 8 and 12 of 12 steps.
    const expected = [[0, 0], [1, 1], [2, 2], [6, 1.5], [8, 1], [10, 0.5], [14, 0], [99, 0]] as const;
    for (const [step, rate] of expected) assertClose(schedule(step), rate);
    const lifted = cosineSchedule(3, 12, { finalRate: 1 });
    for (const [step, rate] of [[0, 3], [4, 2.5], [6, 2], [12, 1], [13, 1]] as const) {
      assertClose(lifted(step), rate);
    }
  });
});

describe("Schedule", () => {
  it("Schedule stays between its rates, rises first and never after", () => {
    const count = fc.integer({ min: 1, max: 60 });
    const rate = fc.oneof(magnitudes(1e-8, 10), fc.constant(0));
    const make = fc.constantFrom(linearSchedule, cosineSchedule);
    fc.assert(fc.property(make, count, fc.nat(60), rate, rate, (schedule, totalSteps, warmup, a, b) => {
      const [finalRate, peakRate] = a < b ? [a, b] : [b, a];
      const warmupSteps = Math.min(warmup, totalSteps);
      const values = Array.from(
        { length: totalSteps + 5 },
        (_, step) => schedule(peakRate, totalSteps, { warmupSteps, finalRate })(step),
      );
      const slack = 1e-14;
      for (const [step, value] of values.entries()) {
        assert.ok(value >= 0 && value <= peakRate + slack);
        if (step >= totalSteps) assert.equal(value, finalRate);
        const next = values[step + 1] ?? finalRate;
        if (step + 1 < warmupSteps) assert.ok(next >= value);
        if (step >= warmupSteps) assert.ok(next <= value + slack);
      }
      if (warmupSteps < totalSteps) assertClose(values[warmupSteps]!, peakRate);
    }));
  });

  it("Schedule refuses rates, step counts and steps that are out of range", () => {
    for (const bad of [-1, NaN, Infinity]) {
      assert.throws(() => constantSchedule(bad), { name: "RangeError", message: new RegExp(`got ${bad}`) });
      assert.throws(() => linearSchedule(bad, 10), { name: "RangeError", message: /peakRate/ });
      assert.throws(() => cosineSchedule(1, 10, { finalRate: bad }), {
        name: "RangeError",
        message: /finalRate/,
      });
    }
    for (const bad of [0, -1, 1.5, NaN]) {
      assert.throws(() => linearSchedule(1, bad), { message: /totalSteps/ });
    }
    for (const bad of [-1, 1.5, 11, NaN]) {
      assert.throws(() => cosineSchedule(1, 10, { warmupSteps: bad }), {
        name: "RangeError",
        message: /warmupSteps/,
      });
    }
    for (const schedule of [constantSchedule(1), linearSchedule(1, 10), cosineSchedule(1, 10)]) {
      for (const bad of [-1, 0.5, NaN]) {
        assert.throws(() => schedule(bad), { name: "RangeError", message: /step/ });
      }
    }
  });
});
