import { federa } from "../../../federa/mod.ts";
import { adapterOptions, rotationOption, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { rotating } from "../parts/averaging/rotating.ts";

/**
 * FedRot-LoRA (arXiv 2602.23638) from FeDeRA's start (Yan et al., arXiv 2404.18848): neither factor begins at zero, so that the first
 * round has something to turn to.
 */
export const feDeRaRot = defineMethod({
  name: "federa-rot",
  trains: "A and B from the SVD of the pretrained weights, and turns them towards the round's start",
  server: "averages A and B separately",
  rule:
    "client: A_k ← Rᵀ·A_k, B_k ← B_k·R with R near argmin ‖Rᵀ·A_k − A‖ in even t, argmin ‖B_k·R − B‖ in odd t, from FeDeRA's A₀ and B₀; A ← Σ p_k·A_k, B ← Σ p_k·B_k",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i)",
  papers: ["2404.18848", "2602.23638"],
  options: adapterOptions.extend({ svd: svdOption, lambda: rotationOption }),
  create: (options) =>
    rotating(lowRankAveraging(options, { name: "federa-rot", initialization: federa(options) }), {
      ...options,
      startsAtZero: false,
    }),
});
