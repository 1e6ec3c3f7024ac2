import assert from "node:assert/strict";
import { test } from "node:test";
import { F64Array } from "../reference/array.ts";
import { assertClose, dotErrorBound, F32_MAX, gammaN, ulpF32 } from "./compare.ts";

test("assertClose() names the worst element, both values and the tolerance", () => {
  assert.throws(() => assertClose([1, 2.5, 4], [1, 2, 3], { absolute: 0.25 }), (error: Error) => {
    return error instanceof assert.AssertionError &&
      /Element 2 of 3 .* expected 3, got 4, tolerance 2\.50e-1, 4\.00/.test(error.message);
  });
});

test("assertClose() adds absolute, relative and ulp bounds", () => {
  assertClose([1.3], [1], { absolute: 0.1, relative: 0.2001 });
  assert.throws(() => assertClose([1.31], [1], { absolute: 0.1, relative: 0.2 }));
  assertClose([1 + 2 ** -22], [1], { ulps: 2 });
  assert.throws(() => assertClose([1 + 2 ** -22], [1], { ulps: 1 }));
  assertClose([1.1, 5], F64Array.from([2], [1, 5]), { absolute: [0.2, 0] });
});

test("assertClose() fails on NaN, infinity and a missing element, whatever the tolerance", () => {
  const loose = { absolute: 1e300 };
  assert.throws(() => assertClose([NaN], [1], loose));
  assert.throws(() => assertClose([1], [NaN], loose));
  assert.throws(() => assertClose([Infinity], [1], loose));
  assert.throws(() => assertClose([1], [1, 2], loose));
  assertClose([NaN, Infinity], [NaN, 1e39], { absolute: 0 });
});

test("assertClose() lets denormals flush to zero, and nothing larger", () => {
  assertClose([0], [2 ** -130], {});
  assert.throws(() => assertClose([0], [2 ** -125], {}));
});

test("ulpF32() and gammaN() match hand-worked values", () => {
  assert.equal(ulpF32(1), 2 ** -23);
  assert.equal(ulpF32(-3), 2 ** -22);
  assert.equal(ulpF32(0), 2 ** -149);
  assert.equal(ulpF32(F32_MAX), 2 ** 104);
  assert.equal(gammaN(1), 1 / (2 ** 24 - 1));
});

test("dotErrorBound() holds for a float32 dot product and is not idle", () => {
  // 1 + 1000 terms of u/2 each: every addition is rounded away, so the float32 sum is 1.
  const terms = [1, ...Array.from({ length: 1000 }, () => 2 ** -25)];
  const exact = terms.reduce((sum, term) => sum + term, 0);
  const rounded = terms.reduce((sum, term) => Math.fround(sum + term), 0);
  assertClose([rounded], [exact], { absolute: dotErrorBound(terms.length, [exact]) });
  assert.throws(() => assertClose([rounded], [exact], { absolute: dotErrorBound(400, [exact]) }));
});
