import { doraOption, initializationOf, startedOptions } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/**
 * FedSA-LoRA (Guo et al., arXiv 2410.01463): A and B are trained, and only A is shared; B and the head stay with their client, and
 * each client's own model is evaluated.
 */
export const fedSaLora = defineMethod({
  name: "fedsa-lora",
  trains: "LoRA A and B; B and the head stay with the client",
  server: "averages A",
  rule: "A ← Σ p_k·A_k; B_k and the head stay with client k",
  up: "A: r·i",
  down: "A: r·i",
  papers: ["2410.01463"],
  options: startedOptions.extend({ dora: doraOption }),
  create: (options) =>
    lowRankAveraging(options, {
      name: "fedsa-lora",
      initialization: initializationOf(options),
      isShared: (name) => name.endsWith(".loraA"),
    }),
});
