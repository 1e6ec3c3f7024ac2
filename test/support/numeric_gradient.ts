import { F64Array } from "../reference/array.ts";

/**
 * Gradients of Σ dy·f(inputs) by central differences, one array for each input: what the analytic gradients of the
 * oracles are proved against. With steps of h = 6e-6·max(1, |x|) the error is about h² times the third derivative plus
 * 2⁻⁵²·|f|/h: below 1e-8 for values and derivatives of order 1.
 */
export function numericGradient(
  f: (...inputs: F64Array[]) => F64Array,
  inputs: readonly F64Array[],
  dy: F64Array,
): F64Array[] {
  return inputs.map((input, which) =>
    input.map((value, i) => {
      const step = 6e-6 * Math.max(1, Math.abs(value));
      const evaluate = (at: number) => {
        const moved = F64Array.from(input.shape, input.data.with(i, at));
        return f(...inputs.with(which, moved)).data;
      };
      const [above, below] = [evaluate(value + step), evaluate(value - step)];
      return dy.data.reduce((sum, gradient, k) => sum + gradient * (above[k]! - below[k]!), 0) / (2 * step);
    })
  );
}
