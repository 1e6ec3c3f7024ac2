import { formatShape, sameShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands } from "../launch.ts";
import { gemm } from "./gemm.ts";

/** What {@linkcode lowRankUpdate} adds. */
export interface LowRankTerm {
  /** A [r, n]. */
  readonly loraA: Tensor;
  /** B [m, r]. */
  readonly loraB: Tensor;
  /** The factor s before B·A. */
  readonly scaling: number;
}

/**
 * W + s·B·A [m, n] in one launch, which reads W once and writes nothing else: neither B·A nor its multiple is stored. No gradient
 * is recorded.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function lowRankUpdate(weight: Tensor, { loraA, loraB, scaling }: LowRankTerm): Tensor {
  checkOperands("update", [weight, loraA, loraB]);
  const [m = 0, n = 0] = weight.shape;
  const [k = 0] = loraA.shape;
  const fits = weight.ndim === 2 && sameShape(loraA.shape, [k, n]) && sameShape(loraB.shape, [m, k]);
  if (!fits) {
    throw new TypeError(
      `Cannot update ${formatShape(weight.shape)} by ${formatShape(loraB.shape)} times ${
        formatShape(loraA.shape)
      }: expected [m, n], [m, r], [r, n]`,
    );
  }
  const result = empty(weight.gpu, weight.shape);
  gemm({
    a: { tensor: loraB, row: k },
    b: { tensor: loraA, row: n },
    c: { tensor: result, row: n },
    m,
    n,
    k,
    alpha: scaling,
    residual: weight,
  });
  return result;
}
