import { clone, mul, reshape, slice, sqrt, tidy } from "../engine/mod.ts";
import { jacobiSvd, randomizedSvd } from "../engine/linalg/mod.ts";
import type { Initialization } from "./initialization.ts";
import { residualWeight } from "./residual.ts";

/** Options of {@linkcode federa}. */
export interface FederaOptions {
  /** Randomized SVD of rank r by default; `"exact"` for the full one by Jacobi rotations. */
  readonly svd?: "randomized" | "exact";
}

/**
 * FeDeRA's start (arXiv 2404.18848): with W = U·S·Vᵀ, B₀ = U_r·√(S_r/s) and A₀ = √(S_r/s)·V_rᵀ are trained, and
 * W − s·B₀·A₀ is frozen. So the output at step 0 is the pretrained one, whatever the rank and alpha.
 */
export function federa(options: FederaOptions = {}): Initialization {
  const { svd = "randomized" } = options;
  return async (weight, { rank, scaling, seed }) => {
    const { u, s, vt } = svd === "exact"
      ? await jacobiSvd(weight)
      : await randomizedSvd(weight, { rank, seed });
    return tidy(() => {
      const root = mul(sqrt(slice(s, { start: 0, end: rank })), 1 / Math.sqrt(scaling));
      const loraB = mul(slice(u, { axis: 1, start: 0, end: rank }), root);
      const loraA = mul(slice(vt, { start: 0, end: rank }), reshape(root, [rank, 1]));
      for (const each of [u, s, vt]) each.dispose();
      return {
        weight: residualWeight(weight, { loraA, loraB, scaling }),
        loraA,
        loraB,
        // Training overwrites the factors in place.
        initial: { loraA: clone(loraA), loraB: clone(loraB) },
      };
    });
  };
}
