import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { reduce, reduceGradient, REDUCTION, type ReductionName } from "./reduce.ts";

const x = F64Array.from([2, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
const values = (array: F64Array) => [...array.data];

test("reduce() matches hand-worked values over one, two and all axes", () => {
  assert.deepEqual(values(reduce("sum", x, { axes: [1] })), [3, 5, 7, 15, 17, 19]);
  assert.deepEqual(values(reduce("sum", x, { axes: [0, -1] })), [24, 42]);
  assert.deepEqual(values(reduce("mean", x)), [5.5]);
  assert.deepEqual(values(reduce("max", x, { axes: [0] })), [6, 7, 8, 9, 10, 11]);
  const logs = F64Array.from([2, 2], [0, Math.log(3), 1000, 1000]);
  const [first, second] = values(reduce("logSumExp", logs, { axes: [1] }));
  assert.ok(Math.abs(first! - Math.log(4)) < 1e-15);
  assert.ok(Math.abs(second! - 1000 - Math.LN2) < 1e-12);
});

test("reduce() keeps or drops axes", () => {
  assert.deepEqual(reduce("sum", x, { axes: [1] }).shape, [2, 3]);
  assert.deepEqual(reduce("sum", x, { axes: [2, 0], keepDims: true }).shape, [1, 2, 1]);
  assert.deepEqual(reduce("sum", x).shape, []);
  assert.deepEqual(values(reduce("sum", x, { axes: [] })), values(x));
  assert.throws(() => reduce("sum", x, { axes: [3] }), RangeError);
});

test("reduce() of no elements", () => {
  const empty = F64Array.full([2, 0]);
  assert.deepEqual(values(reduce("sum", empty, { axes: [1] })), [0, 0]);
  assert.deepEqual(values(reduce("max", empty, { axes: [1] })), [-Infinity, -Infinity]);
});

test("reduceGradient() matches central differences", () => {
  const point = gaussian([2, 3, 4], new Random(2));
  for (const name of Object.keys(REDUCTION) as ReductionName[]) {
    for (const axes of [[0], [1], [2], [0, 2], [0, 1, 2]]) {
      for (const keepDims of [false, true]) {
        const options = { axes, keepDims };
        checkGradient((y) => reduce(name, y!, options), (dy) => [reduceGradient(name, point, dy, options)], [
          point,
        ]);
      }
    }
  }
});

test("reduceGradient() of max goes to the first of a tie", () => {
  const tied = F64Array.from([4], [1, 3, 3, 2]);
  assert.deepEqual(values(reduceGradient("max", tied, F64Array.full([], 5))), [0, 5, 0, 0]);
});
