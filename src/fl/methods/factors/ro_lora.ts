import { doraOption, initializationOf, startedOptions } from "../parts/adapters/adapter_options.ts";
import { alternating } from "../parts/averaging/alternating.ts";
import { defineMethod } from "../define_method.ts";

/**
 * RoLoRA (Chen et al., arXiv 2502.01755): odd rounds train and average B beside a common A, even rounds A beside a common B. Either
 * average is exact, and half goes up.
 */
export const roLora = defineMethod({
  name: "rolora",
  trains: "LoRA B in odd rounds, A in even ones",
  server: "averages the one that was trained, which is exact",
  rule: "odd t: B ← Σ p_k·B_k beside A; even t: A ← Σ p_k·A_k beside B",
  up: "B: r·o, or A: r·i",
  down: "what changed: B: r·o, or A: r·i",
  papers: ["2409.02346", "2502.01755"],
  options: startedOptions.extend({ dora: doraOption }),
  create: (options) => alternating(options, { name: "rolora", initialization: initializationOf(options) }),
});
