import assert from "node:assert/strict";
import { test } from "node:test";
import { F64Array } from "../reference/array.ts";
import { checkGradient } from "./check_gradient.ts";
import { numericGradient } from "./numeric_gradient.ts";

const x = F64Array.from([2], [0.5, 2]);
const y = F64Array.from([2], [3, -1]);
const product = (a: F64Array, b: F64Array) => a.map((value, i) => value * value * b.data[i]!);

test("numericGradient() matches hand-worked derivatives of x²y", () => {
  const [dx, dy] = numericGradient((a, b) => product(a!, b!), [x, y], F64Array.from([2], [1, 10]));
  [3, -40].forEach((expected, i) => assert.ok(Math.abs(dx!.data[i]! - expected) < 1e-8));
  [0.25, 40].forEach((expected, i) => assert.ok(Math.abs(dy!.data[i]! - expected) < 1e-8));
});

test("checkGradient() refuses a wrong gradient", () => {
  const right = (dy: F64Array) => [
    dy.map((value, i) => value * 2 * x.data[i]! * y.data[i]!),
    dy.map((value, i) => value * x.data[i]! ** 2),
  ];
  checkGradient((a, b) => product(a!, b!), right, [x, y]);
  const wrong = (dy: F64Array) => right(dy).map((array) => array.map((value) => value * (1 + 1e-6)));
  assert.throws(() => checkGradient((a, b) => product(a!, b!), wrong, [x, y]), assert.AssertionError);
});
