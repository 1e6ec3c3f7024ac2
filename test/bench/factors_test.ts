import assert from "node:assert/strict";
import { test } from "node:test";
import { checkFactors } from "../../bench/factors.ts";

test("checkFactors() finds no error in an exact decomposition and the size of one in others", () => {
  const a = [3, 0, 0, -4, 0, 0];
  const right = { u: [0, 1, 1, 0, 0, 0], s: [4, 3], vt: [0, -1, 1, 0] };
  assert.deepEqual(checkFactors(a, [3, 2], right), { error: 0, orthogonality: 0 });
  // One singular value too small by 1, where ‖A‖ is 5.
  assert.equal(checkFactors(a, [3, 2], { ...right, s: [4, 2] }).error, 1 / 5);
  // A vector of length 2: |UᵀU − I| is 3, and twice the component of 4 is lost by 4 of 5.
  assert.deepEqual(checkFactors(a, [3, 2], { ...right, u: [0, 1, 2, 0, 0, 0] }), {
    error: 4 / 5,
    orthogonality: 3,
  });
  assert.equal(checkFactors(a, [3, 2], { ...right, vt: [0, -1, 0, -1] }).orthogonality, 1);
});
