import { matmul, mul, sub, type Tensor, tidy, toFloat, toHalf } from "../engine/mod.ts";
import type { LowRankFactors } from "./low_rank_linear.ts";

/**
 * What is frozen where factors are taken out of a pretrained weight: W − s·B₀·A₀, [out, in], in the weight's precision.
 * Initialising, loading and exporting all come here, so that they agree to the bit.
 */
export function residualWeight(
  weight: Tensor,
  initial: LowRankFactors & { readonly scaling: number },
): Tensor {
  const { loraA, loraB, scaling } = initial;
  return tidy(() => {
    const residual = sub(toFloat(weight), mul(matmul(loraB, loraA), scaling));
    return weight.dtype === "f16" ? toHalf(residual) : residual;
  });
}
