import { clone, mul, reshape, slice, sqrt, type Tensor, tensor } from "../../engine/mod.ts";
import type { LowRankFactors } from "../layers/factored/low_rank_linear.ts";

/** Singular triplets of a matrix, or of a batch: u [m, k], s [k], vt [k, n]. */
export interface Triplets {
  readonly u: Tensor;
  readonly s: Tensor;
  readonly vt: Tensor;
}

/** Options of {@linkcode tripletFactors}. */
export interface TripletFactorsOptions {
  /** s = alpha / r, or as the run scales its updates. */
  readonly scaling: number;
  /**
   * How the singular values are shared out: their roots to both factors by default; `"left"` puts them into B₀ = U_r·S_r/s, so that
   * the rows of A₀ = V_rᵀ are orthonormal.
   */
  readonly split?: "even" | "left" | undefined;
}

/** Options of {@linkcode leadingFactors}. */
export interface LeadingFactorsOptions extends TripletFactorsOptions {
  /** Triplets to take, at most those there are. */
  readonly rank: number;
}

/**
 * The leading singular triplets of a weight as factors: B₀ = U_r·√(S_r/s) [out, r] and A₀ = √(S_r/s)·V_rᵀ [r, in], so that
 * s·B₀·A₀ is the best approximation of that rank. FeDeRA (arXiv 2404.18848) and PiSSA (arXiv 2404.02948) start from them.
 * Of a batch of decompositions it makes batches of factors.
 */
export function leadingFactors(
  { u, s, vt }: Triplets,
  { rank, ...options }: LeadingFactorsOptions,
): LowRankFactors {
  const part = { start: 0, end: rank };
  return tripletFactors(tripletsFrom({ u, s, vt }, part), options);
}

/**
 * The leading singular triplets with the values apart: A = V_rᵀ [r, in], B = U_r [out, r] and R₀ = diag(S_r)/s [r, r], so that s·B·R₀·A
 * is the best approximation of that rank and both bases are orthonormal. Of a batch of decompositions it makes batches.
 */
export function leadingBases(
  triplets: Triplets,
  { rank, scaling }: Pick<LeadingFactorsOptions, "rank" | "scaling">,
): LowRankFactors & { readonly loraR: Tensor } {
  const { u, s, vt } = tripletsFrom(triplets, { start: 0, end: rank });
  const ones = Float32Array.from({ length: rank * rank }, (_, i) => i % (rank + 1) === 0 ? 1 : 0);
  const identity = tensor(s.gpu, ones, { shape: [rank, rank] });
  return {
    loraA: clone(vt),
    loraB: clone(u),
    loraR: mul(reshape(mul(s, 1 / scaling), [...s.shape, 1]), identity),
  };
}

/** Some singular triplets as factors: B = U·√(S/s) and A = √(S/s)·Vᵀ, so that s·B·A is their part of the matrix. */
export function tripletFactors(
  { u, s, vt }: Triplets,
  { scaling, split = "even" }: TripletFactorsOptions,
): LowRankFactors {
  const rank = s.shape.at(-1)!;
  const [ofRows, ofColumns] = [[...s.shape, 1], [...s.shape.slice(0, -1), 1, rank]];
  if (split === "left") {
    return { loraA: clone(vt), loraB: mul(u, reshape(mul(s, 1 / scaling), ofColumns)) };
  }
  const root = mul(sqrt(s), 1 / Math.sqrt(scaling));
  return { loraA: mul(vt, reshape(root, ofRows)), loraB: mul(u, reshape(root, ofColumns)) };
}

/** The triplets from one place to before another, in the order of their singular values. */
export function tripletsFrom(
  { u, s, vt }: Triplets,
  { start, end }: { readonly start: number; readonly end: number },
): Triplets {
  const part = (x: Tensor, axis: number) =>
    start === 0 && x.shape.at(axis) === end ? x : slice(x, { axis, start, end });
  return { u: part(u, -1), s: part(s, -1), vt: part(vt, -2) };
}
