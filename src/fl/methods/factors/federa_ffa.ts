import { federa } from "../../../federa/mod.ts";
import { adapterOptions, doraOption, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/**
 * FFA-LoRA (Sun et al., arXiv 2403.12313) from FeDeRA's start (Yan et al., arXiv 2404.18848): A = V_rᵀ is frozen, with orthonormal rows,
 * and B is trained from U_r·S_r/s. The average is exact, and half goes up.
 */
export const feDeRaFfa = defineMethod({
  name: "federa-ffa",
  trains: "B from the SVD of the pretrained weights; A stays as that gives it, with orthonormal rows",
  server: "averages B, which is exact",
  rule: "A = V_rᵀ frozen, B₀ = U_r·S_r/s; B ← Σ p_k·B_k",
  up: "B: r·o",
  down: "B: r·o",
  papers: ["2404.18848", "2403.12313"],
  options: adapterOptions.extend({ svd: svdOption, dora: doraOption }),
  create: (options) =>
    lowRankAveraging(options, {
      name: "federa-ffa",
      initialization: federa({ ...options, split: "left" }),
      factors: ["loraB"],
    }),
});
