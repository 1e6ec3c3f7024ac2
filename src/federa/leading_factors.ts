import { clone, mul, reshape, slice, sqrt, type Tensor } from "../engine/mod.ts";
import type { LowRankFactors } from "./low_rank_linear.ts";

/** Options of {@linkcode leadingFactors}. */
export interface LeadingFactorsOptions {
  /** Triplets to take, at most those there are. */
  readonly rank: number;
  /** s = alpha / r. */
  readonly scaling: number;
  /**
   * How the singular values are shared out: their roots to both factors by default; `"left"` puts them into B₀ = U_r·S_r/s, so that
   * the rows of A₀ = V_rᵀ are orthonormal.
   */
  readonly split?: "even" | "left" | undefined;
}

/**
 * The leading singular triplets of a weight as factors: B₀ = U_r·√(S_r/s) [out, r] and A₀ = √(S_r/s)·V_rᵀ [r, in], so that
 * s·B₀·A₀ is the best approximation of that rank. FeDeRA (arXiv 2404.18848) and PiSSA (arXiv 2404.02948) start from them.
 */
export function leadingFactors(
  { u, s, vt }: { readonly u: Tensor; readonly s: Tensor; readonly vt: Tensor },
  options: LeadingFactorsOptions,
): LowRankFactors {
  const { rank, scaling, split = "even" } = options;
  const loraA = slice(vt, { start: 0, end: rank });
  const loraB = slice(u, { axis: 1, start: 0, end: rank });
  const values = slice(s, { start: 0, end: rank });
  if (split === "left") return { loraA: clone(loraA), loraB: mul(loraB, mul(values, 1 / scaling)) };
  const root = mul(sqrt(values), 1 / Math.sqrt(scaling));
  return { loraA: mul(loraA, reshape(root, [rank, 1])), loraB: mul(loraB, root) };
}
