import { federa } from "../../../federa/mod.ts";
import { adapterOptions, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/**
 * Fed-SB's update (Singhal et al., arXiv 2502.15436) from FeDeRA's start (Yan et al., arXiv 2404.18848): ΔW = s·B·R·A between frozen
 * bases B = U_r and A = V_rᵀ of the pretrained weight, and R is trained from diag(S_r)/s beside the residual. The average of R is exact, r²
 * values a layer go up and down, and no gradient has to be gathered first.
 */
export const feDeRaSb = defineMethod({
  name: "federa-sb",
  trains: "R [r, r] between frozen bases from the SVD of the pretrained weights",
  server: "averages R, which is exact",
  rule: "B = U_r and A = V_rᵀ frozen, R₀ = diag(S_r)/s; R ← Σ p_k·R_k",
  up: "R: r²",
  down: "R: r²",
  papers: ["2404.18848", "2502.15436"],
  options: adapterOptions.extend({ svd: svdOption }),
  create: (options) =>
    lowRankAveraging(options, {
      name: "federa-sb",
      initialization: federa({ ...options, hasCore: true }),
      factors: ["loraR"],
    }),
});
