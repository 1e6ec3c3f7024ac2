import { matmul, mul, sub, type Tensor, tidy } from "../engine/mod.ts";
import type { LowRankFactors } from "./low_rank_linear.ts";

/**
 * What is frozen where factors are taken out of a pretrained weight: W − s·B₀·A₀, [out, in]. Initialising, loading and
 * exporting all come here, so that they agree to the bit.
 */
export function residualWeight(
  weight: Tensor,
  initial: LowRankFactors & { readonly scaling: number },
): Tensor {
  const { loraA, loraB, scaling } = initial;
  return tidy(() => sub(weight, mul(matmul(loraB, loraA), scaling)));
}
