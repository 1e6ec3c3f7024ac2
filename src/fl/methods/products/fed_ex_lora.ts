import { initializationOf, startedOptions } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { exactAveraging } from "../parts/products/exact.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/** FedEx-LoRA (Singhal et al., arXiv 2410.09432): FedIT, and what averaging loses is added to the frozen weights. */
export const fedExLora = defineMethod({
  name: "fedex-lora",
  trains: "LoRA A and B",
  server: "averages A and B, and adds what that loses to the frozen weights",
  rule: "as fedit, and W ← W + s·(Σ p_k·B_k·A_k − B̄·Ā)",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i), and the correction's factors: K·r·(o + i)",
  papers: ["2410.09432"],
  options: startedOptions,
  create: (options) =>
    exactAveraging(
      "fedex-lora",
      lowRankAveraging(options, { name: "fedex-lora", initialization: initializationOf(options) }),
      options,
    ),
});
