import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { maxAbsDifference } from "../support/compare.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import {
  binaryCrossEntropyWithLogits,
  binaryCrossEntropyWithLogitsGradient,
  crossEntropy,
  crossEntropyGradient,
  mse,
  mseGradient,
} from "./loss.ts";

const random = new Random(7);
const logits = F64Array.from([3, 2], [0, Math.log(3), 0, 0, 9, 9]);
const labels = F64Array.from([3], [1, 0, -100]);
const near = (actual: F64Array, expected: number[]) =>
  assert.ok(maxAbsDifference(actual.data, expected) < 1e-15);

test("crossEntropy() matches hand-worked values, leaving out ignored rows", () => {
  const [first, second] = [Math.log(4 / 3), Math.LN2];
  near(crossEntropy(logits, labels, { reduction: "none" }), [first, second, 0]);
  near(crossEntropy(logits, labels), [(first + second) / 2]);
  const weights = F64Array.from([3], [3, 1, 5]);
  near(crossEntropy(logits, labels, { weights }), [(3 * first + second) / 4]);
  near(crossEntropy(logits, labels, { weights, reduction: "sum" }), [3 * first + second]);
  near(crossEntropy(logits, F64Array.full([3], -100)), [0]);
  assert.throws(() => crossEntropy(logits, F64Array.full([3], 2)), RangeError);
});

test("crossEntropyGradient() is (softmax − one-hot) of the kept rows", () => {
  const gradient = crossEntropyGradient(logits, labels, F64Array.full([], 1), { reduction: "sum" });
  near(gradient, [0.25, -0.25, -0.5, 0.5, 0, 0]);
});

test("binaryCrossEntropyWithLogits() matches hand-worked values and never overflows", () => {
  const z = F64Array.from([4], [0, Math.log(3), 1000, -1000]);
  const targets = F64Array.from([4], [1, 0, 0, 0.5]);
  const losses = binaryCrossEntropyWithLogits(z, targets, { reduction: "none" });
  assert.ok(maxAbsDifference(losses.data, [Math.LN2, Math.log(4), 1000, 500]) < 1e-15);
});

test("mse() matches a hand-worked value", () => {
  near(mse(F64Array.from([2], [1, 5]), F64Array.from([2], [3, 4])), [2.5]);
});

test("the gradients of the losses match central differences for every reduction and weights", () => {
  const scores = gaussian([3, 4], random);
  const targets = gaussian([3, 4], random).map((value) => 1 / (1 + value * value));
  const classes = F64Array.from([3], [2, -100, 0]);
  for (const reduction of ["none", "sum", "mean"] as const) {
    const rows = { reduction, weights: F64Array.from([3], [1, 2, 0.5]) };
    checkGradient(
      (x) => crossEntropy(x!, classes, rows),
      (dy) => [crossEntropyGradient(scores, classes, dy, rows)],
      [
        scores,
      ],
    );
    for (const options of [{ reduction }, { reduction, weights: targets }]) {
      checkGradient(
        (x) => binaryCrossEntropyWithLogits(x!, targets, options),
        (dy) => [binaryCrossEntropyWithLogitsGradient(scores, targets, dy, options)],
        [scores],
      );
      checkGradient((x) => mse(x!, targets, options), (dy) => [mseGradient(scores, targets, dy, options)], [
        scores,
      ]);
    }
  }
});
