import { mul, slice, type Tensor, tensor } from "../../../engine/mod.ts";
import { addProducts, type LowRankProduct } from "../../../engine/linalg/mod.ts";
import type { Uploads } from "../../aggregation/aggregator.ts";
import { take } from "../../tensors.ts";
import { clientFactors } from "../parts/products/client_products.ts";
import { decomposing, type LayerUploads } from "../parts/products/decomposing.ts";
import { defineMethod } from "../define_method.ts";
import { mixedRankOptions } from "../parts/adapters/mixed_ranks.ts";

/**
 * raFLoRA (arXiv 2602.13486): FlexLoRA in which a client of a low rank doesn't count for the terms beyond it. Term j of a product is averaged over
 * the clients k with r_k > j alone, by p_k over their sum of shares; so high terms don't fade with the share of those who have them. A term
 * that none of the round's clients has stays as it is in the global product.
 */
export const raFLora = defineMethod({
  name: "raflora",
  trains: "LoRA A and B; ranks may differ",
  server: "averages each term of the products over the clients that have it, and decomposes the sum by SVD",
  rule:
    "U·S·Vᵀ = Σ_j Σ_{k: r_k > j} p_k/(Σ_{l: r_l > j} p_l)·s_k·b_kj·a_kj; client k gets B = U_r·√(S_r/s_k), A = √(S_r/s_k)·V_rᵀ of its own r = r_k",
  up: "A, B: r_k·(o + i)",
  down: "A, B: r_k·(o + i)",
  papers: ["2602.13486"],
  options: mixedRankOptions,
  create: (options) => decomposing(options, { name: "raflora", product }),
});

function product(layer: string, { each, ranks, global }: LayerUploads): LowRankProduct {
  const owned = ownedShares(each, ranks);
  const terms = clientFactors(layer, each, ranks).map(({ id, share, a, b }) => {
    const weights = owned.slice(0, ranks.of(id)).map((total) => share / total * ranks.scaling(id));
    return { a, b: mul(b, tensor(b.gpu, weights)) };
  });
  const { largest } = ranks;
  const missing = owned.indexOf(0);
  if (missing < 0) return addProducts(terms);
  const rest = (name: string, axis: number): Tensor =>
    slice(take(global, `${layer}.${name}`), { axis, start: missing, end: largest });
  return addProducts([...terms, { a: rest("loraA", 0), b: mul(rest("loraB", 1), ranks.globalScaling) }]);
}

/** Σ p_k of the clients that have a term, by its number; 0 for one that none has. */
function ownedShares(each: readonly Uploads[], ranks: LayerUploads["ranks"]): number[] {
  const all = each.flatMap(({ clients, shares }) =>
    clients.map(({ id }, member) => ({ rank: ranks.of(id), share: shares[member]! }))
  );
  return Array.from(
    { length: ranks.largest },
    (_, term) => all.reduce((sum, { rank, share }) => rank > term ? sum + share : sum, 0),
  );
}
