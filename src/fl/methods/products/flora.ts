import { tidy } from "../../../engine/mod.ts";
import { clientProducts } from "../parts/products/client_products.ts";
import { defineMethod } from "../define_method.ts";
import { mixedRankOptions, mixedRanks } from "../parts/adapters/mixed_ranks.ts";
import { restarting } from "../parts/products/restarting.ts";

/**
 * FLoRA (Wang et al., arXiv 2409.05976): the clients' factors are stacked, whose product is exactly Σ p_k·s_k·B_k·A_k, and merged into the
 * frozen weights; each round begins anew from a random A and B = 0, which all draw by the round.
 */
export const fLora = defineMethod({
  name: "flora",
  trains: "LoRA A and B, anew each round; ranks may differ",
  server: "stacks the factors and merges them into the frozen weights, which is exact",
  rule: "W ← W + Σ p_k·s_k·B_k·A_k; A drawn anew each round, B = 0",
  up: "A, B: r_k·(o + i)",
  down: "the stacks of the last round: Σ r_k·(o + i)",
  papers: ["2409.05976"],
  options: mixedRankOptions,
  create: (options) => ({
    ...restarting(options, {
      name: "flora",
      correct: (layer, _, each) => ({
        merged: tidy(() => clientProducts(layer, each, mixedRanks(options, layer))),
      }),
    }),
    showsChanges: true,
  }),
});
