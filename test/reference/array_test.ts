import assert from "node:assert/strict";
import { test } from "node:test";
import { broadcastShapes, broadcastSource, F64Array, stridedSource, stridesOf, sumToShape } from "./array.ts";

test("F64Array checks the number of values", () => {
  assert.throws(() => F64Array.from([2, 3], [1, 2]), RangeError);
});

test("F64Array.fromF32() rounds to float32", () => {
  assert.deepEqual([...F64Array.fromF32([2], [0.1, 0.5]).data], [Math.fround(0.1), 0.5]);
});

test("broadcastShapes() aligns axes at the right", () => {
  assert.deepEqual(broadcastShapes([5, 1, 4], [3, 1], []), [5, 3, 4]);
  assert.deepEqual(broadcastShapes([1, 3], [0, 1]), [0, 3]);
  assert.throws(() => broadcastShapes([2, 3], [2, 4]), TypeError);
});

test("stridedSource() enumerates a transposed view in row-major order", () => {
  assert.deepEqual(stridesOf([2, 3]), [3, 1]);
  assert.deepEqual([...stridedSource([3, 2], [1, 3])], [0, 3, 1, 4, 2, 5]);
  assert.deepEqual([...stridedSource([], [], 4)], [4]);
});

test("sumToShape() undoes broadcastSource()", () => {
  assert.deepEqual([...broadcastSource([2, 1], [2, 2, 3])], [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
  assert.throws(() => broadcastSource([2, 3], [3]), TypeError);
  const dy = F64Array.from([2, 3], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...sumToShape(dy, [3]).data], [5, 7, 9]);
  assert.deepEqual([...sumToShape(dy, [2, 1]).data], [6, 15]);
  assert.deepEqual([...sumToShape(dy, []).data], [21]);
});
