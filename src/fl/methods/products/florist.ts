import { z } from "zod";
import { tidy } from "../../../engine/mod.ts";
import { Held } from "../../held.ts";
import { clientProducts } from "../parts/products/client_products.ts";
import type { Correction } from "../parts/products/corrections.ts";
import { defineMethod } from "../define_method.ts";
import { mixedRankOptions, mixedRanks } from "../parts/adapters/mixed_ranks.ts";
import { restarting } from "../parts/products/restarting.ts";
import { decomposeByEnergy, tripletsOf } from "../parts/adapters/triplets.ts";

/**
 * FLoRIST (arXiv 2506.09199): FLoRA whose server sends as many triplets of the stack's product as hold a share of its energy, in place of the
 * stack. Thin QR decompositions of both stacks and the SVD of the small matrix between them give these without forming the product. As the
 * paper's abstract alone is at hand, what clients do with the triplets is FLoRA's: they merge them and begin anew. The server sees each
 * client's factors.
 */
export const florist = defineMethod({
  name: "florist",
  trains: "LoRA A and B, anew each round; ranks may differ",
  server: "merges the leading part of the stacked factors' SVD into the frozen weights",
  rule:
    "U·S·Vᵀ = Σ p_k·s_k·B_k·A_k; W ← W + Σ_{j ≤ q} σ_j·u_j·v_jᵀ with the least q of Σ_{j ≤ q} σ_j² ≥ τ·Σ σ_j²; A drawn anew each round, B = 0",
  up: "A, B: r_k·(o + i)",
  down: "the triplets of the last round: q·(o + i)",
  papers: ["2506.09199"],
  options: mixedRankOptions.extend({
    /** τ, the share of the energy that is kept; 1 for all of it. */
    energy: z.number().gt(0).max(1).default(0.99),
  }),
  create: (options) =>
    restarting(options, {
      name: "florist",
      async correct(layer, _, each): Promise<Correction> {
        using held = new Held();
        const product = held.hold(tidy(() => clientProducts(layer, each, mixedRanks(options, layer))));
        const { svd, count: end } = held.hold(await decomposeByEnergy(product, options.energy));
        return { merged: tidy(() => tripletsOf(svd, { start: 0, end })) };
      },
    }),
});
