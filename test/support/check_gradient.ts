import assert from "node:assert/strict";
import type { F64Array } from "../reference/array.ts";
import { numericGradient } from "./numeric_gradient.ts";
import { gaussian } from "./matrices.ts";
import { Random } from "./random.ts";

/**
 * Proves an analytic gradient against central differences, for a random gradient of the result.
 *
 * @param f the function of the inputs
 * @param gradient its vector-Jacobian product: the gradients of the inputs, in order, from that of the result
 * @param inputs points of order 1, away from kinks, where the error of the differences is below the tolerance of 1e-7
 */
export function checkGradient(
  f: (...inputs: F64Array[]) => F64Array,
  gradient: (dy: F64Array) => readonly F64Array[],
  inputs: readonly F64Array[],
): void {
  const dy = gaussian(f(...inputs).shape, new Random(inputs.length));
  const numeric = numericGradient(f, inputs, dy);
  const analytic = gradient(dy);
  assert.equal(analytic.length, inputs.length);
  analytic.forEach((array, which) => {
    assert.deepEqual(array.shape, inputs[which]!.shape, `shape of gradient ${which}`);
    array.data.forEach((value, i) => {
      const expected = numeric[which]!.data[i]!;
      const scale = Math.max(1, Math.abs(expected));
      assert.ok(
        Math.abs(value - expected) <= 1e-7 * scale,
        `gradient ${which}[${i}]: ${value}, differences: ${expected}`,
      );
    });
  });
}
