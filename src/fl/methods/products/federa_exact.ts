import { federa } from "../../../federa/mod.ts";
import { adapterOptions, svdOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { exactAveraging } from "../parts/products/exact.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/** FeDeRA with exact aggregation: FedEx-LoRA's correction (arXiv 2410.09432) on FeDeRA's start. */
export const feDeRaExact = defineMethod({
  name: "federa-exact",
  trains: "A and B from the SVD of the pretrained weights",
  server: "averages A and B, and adds what that loses to the frozen weights",
  rule: "FeDeRA's start; as fedit, and W ← W + s·(Σ p_k·B_k·A_k − B̄·Ā)",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i), and the correction's factors: K·r·(o + i)",
  papers: ["2404.18848", "2410.09432"],
  options: adapterOptions.extend({ svd: svdOption }),
  create: (options) =>
    exactAveraging(
      "federa-exact",
      lowRankAveraging(options, { name: "federa-exact", initialization: federa(options) }),
      options,
    ),
});
