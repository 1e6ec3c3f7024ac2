import { clientProducts } from "../parts/products/client_products.ts";
import { decomposing } from "../parts/products/decomposing.ts";
import { defineMethod } from "../define_method.ts";
import { mixedRankOptions } from "../parts/adapters/mixed_ranks.ts";

/**
 * FlexLoRA (Bai et al., arXiv 2402.11505): the server takes the exact mean Σ p_k·s_k·B_k·A_k apart by an SVD that never forms it; a
 * client gets the leading triplets of its own rank as B = U_r·√(S_r/s_k) and A = √(S_r/s_k)·V_rᵀ.
 */
export const flexLora = defineMethod({
  name: "flexlora",
  trains: "LoRA A and B; ranks may differ",
  server: "decomposes the exact mean by SVD, and sends each client the part of its rank",
  rule:
    "U·S·Vᵀ = Σ p_k·s_k·B_k·A_k; client k gets B = U_r·√(S_r/s_k), A = √(S_r/s_k)·V_rᵀ of its own r = r_k",
  up: "A, B: r_k·(o + i)",
  down: "A, B: r_k·(o + i)",
  papers: ["2402.11505"],
  options: mixedRankOptions,
  create: (options) =>
    decomposing(options, {
      name: "flexlora",
      product: (layer, { each, ranks }) => clientProducts(layer, each, ranks),
    }),
});
