import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { F64Array } from "./array.ts";
import {
  argmax,
  broadcastTo,
  broadcastToGradient,
  concat,
  concatGradient,
  gather,
  gatherGradient,
  indexSelect,
  indexSelectGradient,
  permute,
  permuteGradient,
  reshape,
  slice,
  sliceGradient,
  transpose,
} from "./shape.ts";

const x = F64Array.from([2, 3], [1, 2, 3, 4, 5, 6]);
const cube = F64Array.full([2, 3, 4]).map((_, i) => i);
const values = (array: F64Array) => [...array.data];

test("permute(), transpose() and reshape() move elements", () => {
  assert.deepEqual(values(transpose(x)), [1, 4, 2, 5, 3, 6]);
  const turned = permute(cube, [2, 0, 1]);
  assert.deepEqual(turned.shape, [4, 2, 3]);
  assert.deepEqual(values(turned).slice(0, 8), [0, 4, 8, 12, 16, 20, 1, 5]);
  assert.deepEqual(reshape(x, [3, 2]).shape, [3, 2]);
  checkGradient((a) => permute(a!, [2, 0, 1]), (dy) => [permuteGradient([2, 0, 1], dy)], [cube]);
});

test("slice() and its gradient", () => {
  assert.deepEqual(values(slice(x, [0, 1], [2, 3])), [2, 3, 5, 6]);
  assert.deepEqual(slice(x, [1, 1], [1, 3]).shape, [0, 2]);
  const [starts, ends] = [[1, 0, 2], [2, 2, 4]];
  checkGradient((a) => slice(a!, starts, ends), (dy) => [sliceGradient(cube.shape, starts, ends, dy)], [
    cube,
  ]);
});

test("concat() and its gradient", () => {
  const other = F64Array.from([2, 1], [7, 8]);
  assert.deepEqual(values(concat([x, other], 1)), [1, 2, 3, 7, 4, 5, 6, 8]);
  assert.deepEqual(values(concat([x, x], 0)), [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
  checkGradient((a, b) => concat([a!, b!], -1), (dy) => concatGradient([x.shape, other.shape], -1, dy), [
    x,
    other,
  ]);
});

test("broadcastTo() and its gradient", () => {
  const row = F64Array.from([3], [1, 2, 3]);
  assert.deepEqual(values(broadcastTo(row, [2, 3])), [1, 2, 3, 1, 2, 3]);
  checkGradient((a) => broadcastTo(a!, [4, 2, 3]), (dy) => [broadcastToGradient([3], dy)], [row]);
});

test("gather() and indexSelect() and their gradients add up repeated indices", () => {
  const indices = F64Array.from([2, 2], [2, 2, 0, 1]);
  assert.deepEqual(values(gather(x, indices, 1)), [3, 3, 4, 5]);
  assert.deepEqual(values(gather(x, F64Array.from([1, 3], [1, 0, 1]), 0)), [4, 2, 6]);
  assert.deepEqual(values(gatherGradient(x.shape, indices, 1, F64Array.full([2, 2], 1))), [0, 0, 2, 1, 1, 0]);
  checkGradient((a) => gather(a!, indices, 1), (dy) => [gatherGradient(x.shape, indices, 1, dy)], [x]);
  assert.deepEqual(values(indexSelect(x, [2, 0, 2], 1)), [3, 1, 3, 6, 4, 6]);
  assert.deepEqual(values(indexSelect(x, [1], 0)), [4, 5, 6]);
  checkGradient(
    (a) => indexSelect(a!, [2, 0, 2], 1),
    (dy) => [indexSelectGradient(x.shape, [2, 0, 2], 1, dy)],
    [x],
  );
});

test("argmax() gives the first largest element", () => {
  const tied = F64Array.from([2, 3], [1, 5, 5, 7, 0, 7]);
  assert.deepEqual(values(argmax(tied, 1)), [1, 0]);
  assert.deepEqual(values(argmax(tied, 0)), [1, 0, 1]);
});
