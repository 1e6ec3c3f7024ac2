import assert from "node:assert/strict";
import { test } from "node:test";
import { fitTo } from "../../../src/fl/transport/fit.ts";

const value = (shape: readonly number[], values: readonly number[]) => ({
  shape,
  data: Float32Array.from(values),
});

test("fitTo() appends zeros to axes and cuts them, and leaves what fits alone", () => {
  const matrix = value([2, 3], [1, 2, 3, 4, 5, 6]);
  assert.equal(fitTo([2, 3], matrix), matrix);
  assert.deepEqual(fitTo([3, 3], matrix), value([3, 3], [1, 2, 3, 4, 5, 6, 0, 0, 0]));
  assert.deepEqual(fitTo([2, 4], matrix), value([2, 4], [1, 2, 3, 0, 4, 5, 6, 0]));
  assert.deepEqual(fitTo([1, 2], matrix), value([1, 2], [1, 2]));
  assert.deepEqual(fitTo([3, 1], matrix), value([3, 1], [1, 4, 0]));
  assert.deepEqual(fitTo([3], value([1], [7])), value([3], [7, 0, 0]));
  assert.deepEqual(fitTo([2, 1, 2], value([1, 2, 1], [5, 6])), value([2, 1, 2], [5, 0, 0, 0]));
  assert.throws(() => fitTo([2], matrix), { name: "TypeError" });
});
