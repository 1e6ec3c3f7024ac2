import assert from "node:assert/strict";
import { test } from "node:test";
import { fitLine } from "../../bench/line_fit.ts";

test("fitLine() finds the line through points on one", () => {
  const { slope, intercept, rSquared, largestResidual } = fitLine([[1, 5], [2, 7], [5, 13]]);
  assert.ok(Math.abs(slope - 2) < 1e-12 && Math.abs(intercept - 3) < 1e-12);
  assert.ok(Math.abs(rSquared - 1) < 1e-12 && largestResidual < 1e-12);
});

test("fitLine() gives the hand-worked line of points off it, and how far off they are", () => {
  // Means 2 and 3; slope (1·2 + 1·1)/2 = 3/2, intercept 0; residuals −1/2, 1, −1/2 of variance sum 6.
  const { slope, intercept, rSquared, largestResidual } = fitLine([[1, 1], [2, 4], [3, 4]]);
  assert.ok(Math.abs(slope - 1.5) < 1e-12 && Math.abs(intercept) < 1e-12);
  assert.ok(Math.abs(rSquared - (1 - 1.5 / 6)) < 1e-12, `${rSquared}`);
  assert.ok(Math.abs(largestResidual - 0.5) < 1e-12, `${largestResidual}`);
});
