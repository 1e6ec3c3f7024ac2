import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crossedEffects } from "../../../src/experiment/statistics/crossed_effects.ts";
import { meanSquares, remlVariances, scores } from "./golden.ts";

const design = { method: 3, draw: 4, seed: 5 };

/** Variances by the factors that interact. */
function byFactors(effects: ReturnType<typeof crossedEffects>) {
  return new Map(effects.map((effect) => [effect.factors.join(" × "), effect]));
}

test("crossedEffects() finds the mean squares of statsmodels, and the variances of its REML", () => {
  const effects = byFactors(crossedEffects(scores, design));
  assert.deepEqual([...effects.keys()], Object.keys(meanSquares));
  for (const [name, expected] of Object.entries(meanSquares)) {
    const { meanSquare } = effects.get(name)!;
    assert.ok(Math.abs(meanSquare / expected - 1) < 1e-9, `${name}: ${meanSquare}`);
  }
  // The search for the likelihood's maximum ends within a part in a thousand.
  for (const [name, expected] of Object.entries(remlVariances)) {
    const { variance } = effects.get(name)!;
    assert.ok(Math.abs(variance / expected - 1) < 1e-3, `${name}: ${variance}`);
  }
  assert.deepEqual([...effects.values()].map(({ degreesOfFreedom }) => degreesOfFreedom), [
    2,
    3,
    4,
    6,
    8,
    12,
    24,
  ]);
});

test("crossedEffects() agrees with a design worked by hand", () => {
  // Means of the methods 2.25 and 4, of the draws 1 and 5.25, overall 3.125; each cell is 0.125 off their sum.
  // SS(method) = 4·0.875² = 3.0625, SS(draw) = 4·2.125² = 18.0625, SS(rest) = 4·0.125² = 0.0625, each of 1 degree of freedom.
  const effects = crossedEffects([0, 4.5, 2, 6], { method: 2, draw: 2 });
  const [method, draw, rest] = effects as [typeof effects[0], typeof effects[0], typeof effects[0]];
  assert.deepEqual([method.meanSquare, draw.meanSquare, rest.meanSquare], [3.0625, 18.0625, 0.0625]);
  // (3.0625 − 0.0625)/2, (18.0625 − 0.0625)/2, 0.0625; together 10.5625.
  assert.deepEqual([method.variance, draw.variance, rest.variance], [1.5, 9, 0.0625]);
  assert.deepEqual([method.share, draw.share], [1.5 / 10.5625, 9 / 10.5625]);
});

test("crossedEffects() leaves out factors of one level and sets variances below zero to zero", () => {
  const effects = crossedEffects([1, 2, 2, 1], { method: 2, draw: 1, seed: 2 });
  assert.deepEqual(effects.map(({ factors, variance, share }) => ({ factors, variance, share })), [
    { factors: ["method"], variance: 0, share: 0 },
    { factors: ["seed"], variance: 0, share: 0 },
    { factors: ["method", "seed"], variance: 1, share: 1 },
  ]);
  assert.deepEqual(crossedEffects([0.7, 0.7], { method: 1, draw: 1, seed: 2 }), [
    { factors: ["seed"], degreesOfFreedom: 1, meanSquare: 0, variance: 0, share: null },
  ]);
  assert.deepEqual(crossedEffects([0.7], { method: 1, draw: 1, seed: 1 }), []);
});

test("crossedEffects() refuses a design with a missing cell", () => {
  assert.throws(() => crossedEffects([1, 2, 3], { method: 2, draw: 2 }), {
    name: "RangeError",
    message: "Cannot analyse variance: expected a value for each of 4 cells, got 3",
  });
});

test("crossedEffects() splits the sum of squares without a rest, and follows shift and scale", () => {
  const levels = fc.integer({ min: 1, max: 4 });
  const cases = fc.tuple(levels, levels, levels).chain(([method, draw, seed]) =>
    fc.record({
      design: fc.constant({ method, draw, seed }),
      values: fc.array(fc.integer({ min: -1000, max: 1000 }), {
        minLength: method * draw * seed,
        maxLength: method * draw * seed,
      }),
    })
  );
  fc.assert(fc.property(cases, ({ design, values }) => {
    const effects = crossedEffects(values, design);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const total = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const parts = effects.reduce(
      (sum, { meanSquare, degreesOfFreedom }) => sum + meanSquare * degreesOfFreedom,
      0,
    );
    assert.ok(Math.abs(parts - total) <= 1e-9 * Math.max(1, total), `${parts} of ${total}`);
    const changed = crossedEffects(values.map((value) => 4 * value + 8), design);
    effects.forEach(({ variance }, i) => {
      assert.ok(Math.abs(changed[i]!.variance - 16 * variance) <= 1e-9 * Math.max(1, total));
    });
  }));
});
