import { noGrad } from "../autograd.ts";
import { full } from "../ops/create.ts";
import { add, clamp, div, sqrt } from "../ops/elementwise.ts";
import { sumOfSquares } from "../ops/reduce.ts";
import { reshape } from "../ops/shape.ts";
import type { Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { membersOf } from "./optimizer.ts";

/**
 * The factor f32 [C] that brings each member's gradient, all tensors [C, ...] of it together, to a norm of at most
 * `maxNorm`: min(1, maxNorm / (‖g‖₂ + 1e-6)). Give it to the optimiser as `gradientScale`.
 *
 * @throws {RangeError} when `maxNorm` isn't positive.
 */
export function clipFactors(gradients: readonly Tensor[], maxNorm: number): Tensor {
  if (!(maxNorm > 0)) {
    throw new RangeError(`Cannot clip gradients to norm ${maxNorm}: expected a positive number`);
  }
  const members = membersOf(gradients);
  return tidy(() =>
    noGrad(() => {
      const squares = gradients.map((each) => sumOfSquares(reshape(each, [members, -1]), { axes: [1] }));
      const norm = sqrt(squares.reduce((total, each) => add(total, each)));
      return clamp(div(full(norm.gpu, [members], maxNorm), add(norm, 1e-6)), { low: 0, high: 1 });
    })
  );
}
