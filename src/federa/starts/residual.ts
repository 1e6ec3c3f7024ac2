import {
  lowRankUpdate,
  type Precision,
  type Tensor,
  tidy,
  toPrecision,
  unrounded,
} from "../../engine/mod.ts";
import type { LowRankFactors } from "../layers/factored/low_rank_linear.ts";

/** What {@linkcode residualWeight} takes out of a weight, and how it stores the rest. */
export interface ResidualOptions extends LowRankFactors {
  readonly scaling: number;
  readonly precision: Precision;
}

/**
 * What is frozen where factors are taken out of a pretrained weight W: W − s·B₀·A₀, [out, in], rounded once to a precision. As
 * the residual is smaller than W, so is the error of 8 bits (QPiSSA, arXiv 2404.02948, section 4). Initialising, loading and
 * exporting all come here, so that they agree to the bit.
 *
 * @param weight W in f32.
 */
export function residualWeight(
  weight: Tensor,
  { loraA, loraB, scaling, precision }: ResidualOptions,
): Tensor {
  return tidy(() => toPrecision(lowRankUpdate(weight, { loraA, loraB, scaling: -scaling }), precision));
}

/**
 * The same of a pretrained weight as a model stores it, and in its precision: the values that it was rounded from are read again
 * where they can be.
 */
export async function residualOf(
  pretrained: Tensor,
  initial: LowRankFactors & { readonly scaling: number },
): Promise<Tensor> {
  using weight = await unrounded(pretrained);
  return residualWeight(weight, { ...initial, precision: precisionOf(pretrained) });
}

/** How a weight is stored. */
export function precisionOf({ dtype }: Tensor): Precision {
  if (dtype === "f32" || dtype === "f16" || dtype === "int8") return dtype;
  throw new TypeError(`Cannot take a tensor of dtype ${dtype} for a weight: expected f32, f16 or int8`);
}
