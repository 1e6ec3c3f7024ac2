import { drawLora, layerSettings, lora } from "../../../federa/mod.ts";
import { clientProducts } from "../parts/client_products.ts";
import { correcting } from "../parts/corrections.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/low_rank.ts";
import { globalOptions, mixedRankOptions, mixedRanks } from "../parts/mixed_ranks.ts";
import { leadingRank } from "../../client/start_of_rank.ts";

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
  create(given) {
    const [ranks, options] = [mixedRanks(given), globalOptions(given)];
    const method = correcting({
      ...options,
      name: "flora",
      inner: lowRankAveraging(options, { name: "flora", initialization: lora }),
      ...(given.ranks && { plan: (global) => ({ ranks, start: leadingRank(global, ranks) }) }),
      correct: (layer, _, each) => clientProducts(layer, each, mixedRanks(given, layer)),
      renew: (weight, { layer, round, seed }) =>
        drawLora(weight, { rank: layerSettings(layer, options).rank, seed, name: `${layer} ${round}` }),
    });
    return { ...method, coordinates: "renewed", mixesRanks: given.ranks !== undefined };
  },
});
