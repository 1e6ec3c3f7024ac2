import { clone, mul, reshape, slice, sqrt, type Tensor, tensor } from "../../engine/mod.ts";
import type { LowRankFactors } from "../layers/low_rank_linear.ts";

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
 * Of a batch of decompositions it makes batches of factors.
 */
export function leadingFactors(
  { u, s, vt }: { readonly u: Tensor; readonly s: Tensor; readonly vt: Tensor },
  options: LeadingFactorsOptions,
): LowRankFactors {
  const { rank, scaling, split = "even" } = options;
  const loraA = leading(vt, -2, rank);
  const loraB = leading(u, -1, rank);
  const values = leading(s, -1, rank);
  const [ofRows, ofColumns] = [[...values.shape, 1], [...values.shape.slice(0, -1), 1, rank]];
  if (split === "left") {
    return { loraA: clone(loraA), loraB: mul(loraB, reshape(mul(values, 1 / scaling), ofColumns)) };
  }
  const root = mul(sqrt(values), 1 / Math.sqrt(scaling));
  return { loraA: mul(loraA, reshape(root, ofRows)), loraB: mul(loraB, reshape(root, ofColumns)) };
}

/**
 * The leading singular triplets with the values apart: A = V_rᵀ [r, in], B = U_r [out, r] and R₀ = diag(S_r)/s [r, r], so that s·B·R₀·A
 * is the best approximation of that rank and both bases are orthonormal. Of a batch of decompositions it makes batches.
 */
export function leadingBases(
  { u, s, vt }: { readonly u: Tensor; readonly s: Tensor; readonly vt: Tensor },
  { rank, scaling }: Pick<LeadingFactorsOptions, "rank" | "scaling">,
): LowRankFactors & { readonly loraR: Tensor } {
  const values = leading(s, -1, rank);
  const ones = Float32Array.from({ length: rank * rank }, (_, i) => i % (rank + 1) === 0 ? 1 : 0);
  const identity = tensor(s.gpu, ones, { shape: [rank, rank] });
  return {
    loraA: clone(leading(vt, -2, rank)),
    loraB: clone(leading(u, -1, rank)),
    loraR: mul(reshape(mul(values, 1 / scaling), [...values.shape, 1]), identity),
  };
}

/** The first `count` of an axis. */
function leading(x: Tensor, axis: number, count: number): Tensor {
  return x.shape.at(axis) === count ? x : slice(x, { axis, start: 0, end: count });
}
