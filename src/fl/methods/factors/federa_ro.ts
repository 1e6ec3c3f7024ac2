import { federa } from "../../../federa/mod.ts";
import { adapterOptions, doraOption, svdOption } from "../parts/adapters/adapter_options.ts";
import { alternating } from "../parts/averaging/alternating.ts";
import { defineMethod } from "../define_method.ts";

/**
 * RoLoRA (Chen et al., arXiv 2502.01755) from FeDeRA's start (Yan et al., arXiv 2404.18848): odd rounds train and average B beside a common A,
 * even rounds A beside a common B, from the factors that the SVD of the pretrained weights gives.
 */
export const feDeRaRo = defineMethod({
  name: "federa-ro",
  trains: "B in odd rounds, A in even ones, from the SVD of the pretrained weights",
  server: "averages the one that was trained, which is exact",
  rule: "odd t: B ← Σ p_k·B_k beside A; even t: A ← Σ p_k·A_k beside B; from FeDeRA's A₀ and B₀",
  up: "B: r·o, or A: r·i",
  down: "what changed: B: r·o, or A: r·i",
  papers: ["2404.18848", "2502.01755"],
  options: adapterOptions.extend({ svd: svdOption, dora: doraOption }),
  create: (options) => alternating(options, { name: "federa-ro", initialization: federa(options) }),
});
