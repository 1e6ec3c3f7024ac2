import { lora } from "../../../federa/mod.ts";
import { adapterOptions, rotationOption } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { rotating } from "../parts/averaging/rotating.ts";

/**
 * FedRot-LoRA (arXiv 2602.23638): FedIT of factors that each client first turns towards those of the round's start, so that fewer cancel in the
 * mean. As B begins at zero, the first round turns nothing. The server sees sums of A and of B alone; both go up and down.
 */
export const fedRotLora = defineMethod({
  name: "fedrot-lora",
  trains: "LoRA A and B, and turns them towards the round's start",
  server: "averages A and B separately",
  rule:
    "client: A_k ← Rᵀ·A_k, B_k ← B_k·R with R near argmin ‖Rᵀ·A_k − A‖ in even t, argmin ‖B_k·R − B‖ in odd t, none at t = 1; A ← Σ p_k·A_k, B ← Σ p_k·B_k",
  up: "A, B: r·(o + i)",
  down: "A, B: r·(o + i)",
  papers: ["2602.23638"],
  options: adapterOptions.extend({ lambda: rotationOption }),
  create: (options) =>
    rotating(lowRankAveraging(options, { name: "fedrot-lora", initialization: lora }), {
      ...options,
      startsAtZero: true,
    }),
});
