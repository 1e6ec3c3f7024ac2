import { doraOption, initializationOf, startedOptions } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/**
 * FFA-LoRA (Sun et al., arXiv 2403.12313): A stays as it was drawn, the same for all; only B is trained and averaged,
 * which makes the average exact and cuts the traffic.
 */
export const ffaLora = defineMethod({
  name: "ffa-lora",
  trains: "B; A stays as it was drawn",
  server: "averages B, which is exact",
  rule: "A drawn and frozen; B ← Σ p_k·B_k",
  up: "B: r·o",
  down: "B: r·o",
  papers: ["2403.12313"],
  options: startedOptions.extend({ dora: doraOption }),
  create: (options) =>
    lowRankAveraging(options, {
      name: "ffa-lora",
      initialization: initializationOf(options),
      factors: ["loraB"],
    }),
});
