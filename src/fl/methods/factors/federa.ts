import { federa } from "../../../federa/mod.ts";
import { adapterOptions, doraOption, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/** FeDeRA (Yan et al., arXiv 2404.18848): FedIT from the factors that the SVD of the pretrained weights gives. */
export const feDeRa = defineMethod({
  name: "federa",
  trains: "A and B from the SVD of the pretrained weights",
  server: "averages A and B separately",
  rule: "U·S·Vᵀ = W; B₀ = U_r·√(S_r/s), A₀ = √(S_r/s)·V_rᵀ, W − s·B₀·A₀ frozen; then as fedit",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i)",
  papers: ["2404.18848"],
  options: adapterOptions.extend({ svd: svdOption, dora: doraOption }),
  create: (options) => lowRankAveraging(options, { name: "federa", initialization: federa(options) }),
});
