import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pearsonCorrelation, spearmanCorrelation } from "../../../src/tasks/metrics/mod.ts";
import { reference } from "./golden.ts";

const metrics = [pearsonCorrelation, spearmanCorrelation];
const numbers = fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })), {
  minLength: 1,
  maxLength: 40,
});

/** A hundred operations on numbers of at most one. */
function assertClose(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-14, `${actual} is not ${expected}`);
}

test("pearsonCorrelation() and spearmanCorrelation() equal SciPy's", () => {
  for (const { values, predictions, pearson, spearman } of reference.numbers) {
    assertClose(pearsonCorrelation(values, predictions), pearson);
    assertClose(spearmanCorrelation(values, predictions), spearman);
  }
});

test("pearsonCorrelation() and spearmanCorrelation() give hand-worked values", () => {
  // Differences from the means -1, 0, 1 and -4/3, -1/3, 5/3: 3/√(2·42/9).
  assertClose(pearsonCorrelation([1, 2, 3], [1, 2, 4]), 3 / Math.sqrt(2 * 42 / 9));
  assert.equal(spearmanCorrelation([1, 2, 3], [1, 2, 4]), 1);
  // Ranks 1, 2.5, 2.5 against 1, 2, 3: 1.5/√(1.5·2).
  assertClose(spearmanCorrelation([0, 5, 5], [-1, 0, 70]), 1.5 / Math.sqrt(3));
  assert.equal(pearsonCorrelation([Number.MAX_VALUE, -1e308], [-5e-324, 5e-324]), -1);
  // SciPy's value; squares of such small numbers vanish.
  assertClose(pearsonCorrelation([1e-200, 2e-200, 4e-200], [1, 2, 5]), 0.9958705948858222);
  // Rounding takes the quotient to 1 + 2⁻⁵² here.
  assert.equal(pearsonCorrelation([9, 2, 9], [28, 7, 28]), 1);
  assert.equal(pearsonCorrelation([9, 2, 9], [-28, -7, -28]), -1);
});

test("pearsonCorrelation() and spearmanCorrelation() are 0 where all numbers are equal, never NaN", () => {
  for (const metric of metrics) {
    // The mean of ten 0.1 is not 0.1.
    assert.equal(metric(new Array<number>(10).fill(0.1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 0);
    assert.equal(metric([1, 2, 3], [7, 7, 7]), 0);
    assert.equal(metric([1], [2]), 0);
    assert.equal(metric([0, -0], [1, 2]), 0);
  }
});

test("pearsonCorrelation() and spearmanCorrelation() are symmetric, bounded, and blind to order, scale and shift", () => {
  fc.assert(fc.property(numbers, fc.nat(), (pairs, turn) => {
    const [x, y] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
    const moved = (list: readonly number[]) => list.map((_, i) => list[(i + turn) % list.length]!);
    for (const metric of metrics) {
      const found = metric(x, y);
      assert.ok(found >= -1 && found <= 1);
      assertClose(metric(y, x), found);
      assertClose(metric(moved(x), moved(y)), found);
      assertClose(metric(x.map((value) => 3 * value + 2 ** 49), y), found);
      assertClose(metric(x.map((value) => -value), y), -found);
      assertClose(metric(x, x), new Set(x).size > 1 ? 1 : 0);
    }
    const cubes = x.map((value) => value ** 3);
    assertClose(spearmanCorrelation(cubes, y), spearmanCorrelation(x, y));
  }));
});

test("pearsonCorrelation() and spearmanCorrelation() refuse lists that cannot be scored", () => {
  for (const metric of metrics) {
    assert.throws(() => metric([0, 1], [0]), { name: "TypeError", message: /got 1 and 2/ });
    assert.throws(() => metric([], []), { name: "RangeError", message: /got 0/ });
    assert.throws(() => metric([0, NaN], [0, 0]), { name: "RangeError", message: /number 1 .* got NaN/ });
    assert.throws(() => metric([0, 0], [Infinity, 0]), { name: "RangeError", message: /prediction 0/ });
  }
});
