import { doraOption, initializationOf, startedOptions } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/** FedIT (Zhang et al., arXiv 2305.05644): plain LoRA, A and B averaged separately. */
export const fedIt = defineMethod({
  name: "fedit",
  trains: "LoRA A and B",
  server: "averages A and B separately",
  rule: "A ← Σ p_k·A_k, B ← Σ p_k·B_k",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i)",
  papers: ["2305.05644"],
  options: startedOptions.extend({ dora: doraOption }),
  create: (options) =>
    lowRankAveraging(options, { name: "fedit", initialization: initializationOf(options) }),
});
