import assert from "node:assert/strict";
import { test } from "node:test";
import {
  crossedInterval,
  type DrawnDifference,
  pairedDifference,
} from "../../../src/experiment/statistics/paired_difference.ts";
import { sampleOf } from "../../../src/experiment/statistics/sample.ts";
import { studentInterval } from "../../../src/experiment/statistics/student_t.ts";
import { difference, scores } from "./golden.ts";

/** Differences by draw and seed. */
function pairs(values: readonly (readonly number[])[]): DrawnDifference[] {
  return values.flatMap((row, draw) => row.map((difference, seed) => ({ draw, seed, difference })));
}

/** The second method of the golden scores minus the first. */
const golden = pairs(
  Array.from(
    { length: 4 },
    (_, draw) =>
      Array.from({ length: 5 }, (_, seed) => scores[20 + 5 * draw + seed]! - scores[5 * draw + seed]!),
  ),
);

function near(actual: number | undefined, expected: number, tolerance = 1e-7): void {
  assert.ok(Math.abs(actual! / expected - 1) <= tolerance, `${actual} is not ${expected}`);
}

test("pairedDifference() gives the interval of scipy's ttest_rel", () => {
  const found = pairedDifference(golden)!;
  assert.equal(found.count, 20);
  near(found.mean, difference.mean, 1e-12);
  near(found.sd!, difference.sd, 1e-12);
  near(found.interval!.low, difference.low);
  near(found.interval!.high, difference.high);
  near(found.crossed!.low, difference.crossed.low);
  near(found.crossed!.high, difference.crossed.high);
  near(found.crossed!.degreesOfFreedom, difference.crossed.degreesOfFreedom, 1e-9);
});

test("pairedDifference() of one pair has no interval, and of none is null", () => {
  assert.deepEqual(pairedDifference(pairs([[0.5]])), {
    count: 1,
    mean: 0.5,
    sd: null,
    interval: null,
    crossed: null,
  });
  assert.equal(pairedDifference([]), null);
});

test("crossedInterval() leaves out an effect that isn't there", () => {
  // Draws at 1 and 3, seeds alike: MS(draw) = 4, D·S = 4, so the standard error is 1, with 1 degree of freedom.
  const ofDraws = crossedInterval(pairs([[1, 1], [3, 3]]))!;
  near(ofDraws.high, 2 + 12.706204736);
  assert.equal(ofDraws.degreesOfFreedom, 1);
  // Nothing but the rest: MS(rest) = 4·1²/2 of 2·1 degrees of freedom, so the standard error is √(2/6).
  const rest = crossedInterval(pairs([[1, 3, 2], [3, 1, 2]]))!;
  near(rest.high, 2 + 4.302652729749464 * Math.sqrt(1 / 3));
  assert.equal(rest.degreesOfFreedom, 2);
  // One pair of 15 differs: every mean square is 1/15, whatever the rounding.
  for (let at = 0; at < 15; at++) {
    const single = Array.from(
      { length: 3 },
      (_, i) => Array.from({ length: 5 }, (_, j) => 5 * i + j === at ? 1.1 : 0.1),
    );
    assert.equal(crossedInterval(pairs(single))!.degreesOfFreedom, 8);
  }
});

test("crossedInterval() hardly changes where an effect hardly exceeds the rest", () => {
  const width = (effect: number) => {
    const { low, high } = crossedInterval(pairs([[1 - effect, 3 - effect], [3 + effect, 1 + effect]]))!;
    return high - low;
  };
  // MS(draw) = 4·effect² and MS(rest) = 4.
  near(width(1 + 1e-9), width(1 - 1e-9), 1e-8);
});

test("crossedInterval() needs several draws, each with each of several seeds", () => {
  assert.equal(crossedInterval(pairs([[1, 2, 3]])), null);
  assert.equal(crossedInterval(pairs([[1], [2], [3]])), null);
  assert.equal(crossedInterval(pairs([[1, 2], [3, 4]]).slice(1)), null);
});

test("crossedInterval() holds the true difference 95 times of 100 where Student's holds it 73 times", () => {
  // Of 3 draws, 5 seeds and deviations of 1 for draws and rest; by NumPy, 0.956 and 0.724 over 4000 experiments.
  let state = 12345;
  const uniform = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const runs = 1000;
  let [crossed, student] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const drawn = pairs(Array.from({ length: 3 }, () => {
      const ofDraw = normal();
      return Array.from({ length: 5 }, () => ofDraw + normal());
    }));
    const found = pairedDifference(drawn)!;
    if (found.crossed!.low < 0 && found.crossed!.high > 0) crossed++;
    if (found.interval!.low < 0 && found.interval!.high > 0) student++;
  }
  // Four standard deviations of a share of 1000: 0.03 and 0.06.
  assert.ok(Math.abs(crossed / runs - 0.956) < 0.03, String(crossed));
  assert.ok(Math.abs(student / runs - 0.724) < 0.06, String(student));
});

test("studentInterval() has the quantiles of scipy", () => {
  // scipy.stats.t.ppf(0.975, df)
  for (
    const [degreesOfFreedom, quantile] of [
      [1, 12.706204736174694],
      [1.7, 5.1188389882530565],
      [2, 4.302652729749464],
      [5, 2.570581835636314],
      [14, 2.1447866879169273],
      [29, 2.045229642132703],
      [999, 1.962341461133449],
    ] as const
  ) near(studentInterval(0, { standardError: 1, degreesOfFreedom }).high, quantile);
});

test("sampleOf() gives mean and sample deviation, exactly for equal values", () => {
  assert.deepEqual(sampleOf([2, 4, 4, 4, 5, 5, 7, 9]), { count: 8, mean: 5, sd: Math.sqrt(32 / 7) });
  assert.deepEqual(sampleOf([0.1, 0.1, 0.1]), { count: 3, mean: 0.1, sd: 0 });
  assert.deepEqual(sampleOf([0.3]), { count: 1, mean: 0.3, sd: null });
  assert.equal(sampleOf([]), null);
});
