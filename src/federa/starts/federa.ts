import { disposeAll, tidy } from "../../engine/mod.ts";
import { randomizedSvd } from "../../engine/linalg/mod.ts";
import { exactSvd } from "./_batch.ts";
import type { Initialization } from "./initialization.ts";
import { leadingBases, leadingFactors, type LeadingFactorsOptions } from "./leading_factors.ts";
import { takenOut } from "./taken_out.ts";

/** Options of {@linkcode federa}. */
export interface FederaOptions {
  /** Randomized SVD of rank r by default; `"exact"` for the full one by Jacobi rotations. */
  readonly svd?: "randomized" | "exact";
  /** How the singular values are shared out; see {@linkcode leadingFactors}. */
  readonly split?: LeadingFactorsOptions["split"];
  /** Whether A = V_rᵀ and B = U_r are frozen beside R₀ = diag(S_r)/s, which is trained; see {@linkcode leadingBases}. */
  readonly hasCore?: boolean;
}

/**
 * FeDeRA's start (arXiv 2404.18848): with W = U·S·Vᵀ, B₀ = U_r·√(S_r/s) and A₀ = √(S_r/s)·V_rᵀ are trained, and
 * W − s·B₀·A₀ is frozen, in the weight's precision. So the output at step 0 is the pretrained one, whatever the rank and alpha;
 * both the SVD and the residual are of the weight before it was rounded.
 *
 * Weights of one shape are decomposed together. The randomized SVD reads them where they lie and makes no copy; the exact one
 * copies a few at a time. On the weights of three encoders with ranks 4 to 32, ‖W − s·B₀·A₀‖_F of the randomized SVD was within
 * 1 % of the exact one's: see {@linkcode randomizedSvd}.
 */
export function federa(options: FederaOptions = {}): Initialization {
  const { svd = "randomized", split, hasCore = false } = options;
  const isExact = svd === "exact";
  return takenOut({
    ...(!isExact && { rowsInPlace: (rank: number) => rank + 16 }),
    async factor(weights, { rank, scaling, seed }) {
      const { u, s, vt } = await (isExact ? exactSvd(weights) : randomizedSvd(weights, { rank, seed }));
      try {
        return tidy(() =>
          hasCore
            ? leadingBases({ u, s, vt }, { rank, scaling })
            : leadingFactors({ u, s, vt }, { rank, scaling, split })
        );
      } finally {
        disposeAll([u, s, vt]);
      }
    },
  });
}

/** PiSSA's start (Meng et al., arXiv 2404.02948): {@linkcode federa} by the exact SVD. */
export const pissa: Initialization = federa({ svd: "exact" });
