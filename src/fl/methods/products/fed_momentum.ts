import { z } from "zod";
import { tidy } from "../../../engine/mod.ts";
import { leadingFactors, lora } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { adapterOptions } from "../parts/adapters/adapter_options.ts";
import { clientProducts } from "../parts/products/client_products.ts";
import { correcting, type Correction } from "../parts/products/corrections.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { mixedRanks } from "../parts/adapters/mixed_ranks.ts";
import { decomposeByEnergy, tripletsOf } from "../parts/adapters/triplets.ts";

/**
 * FedMomentum (arXiv 2603.08014): the server takes the exact mean Σ p_k·s·B_k·A_k apart by an SVD that never forms it. Clients go on from its
 * r leading triplets, and those after them, up to a share of the energy, are added to the frozen weights: so nothing that has been
 * learnt is lost, nor does it begin anew. The paper's SVD is randomised; this one is exact. The server sees each client's factors.
 */
export const fedMomentum = defineMethod({
  name: "fedmomentum",
  trains: "LoRA A and B",
  server: "takes A and B from the SVD of the exact mean, and adds the rest to the frozen weights",
  rule:
    "U·S·Vᵀ = Σ p_k·s·B_k·A_k; B ← U_r·√(S_r/s), A ← √(S_r/s)·V_rᵀ, W ← W + Σ_{r < j ≤ q} σ_j·u_j·v_jᵀ with the least q of Σ_{j ≤ q} σ_j² ≥ τ·Σ σ_j²",
  up: "A, B: r·(o + i)",
  down: "A, B and what was added since: r·(o + i) and (q − r)·(o + i)",
  papers: ["2603.08014"],
  options: adapterOptions.extend({
    /** τ, the share of the energy that is kept; 1 for all of it. */
    energy: z.number().gt(0).max(1).default(0.9999),
  }),
  create(options) {
    const method = correcting({
      ...options,
      name: "fedmomentum",
      inner: lowRankAveraging(options, { name: "fedmomentum", initialization: lora }),
      async correct(layer, _, each): Promise<Correction> {
        using held = new Held();
        const ranks = mixedRanks(options, layer);
        const rank = ranks.largest;
        const product = held.hold(tidy(() => clientProducts(layer, each, ranks)));
        const { svd, count: end } = held.hold(await decomposeByEnergy(product, options.energy));
        return tidy(() => ({
          factors: leadingFactors(svd, { rank, scaling: ranks.globalScaling }),
          merged: tripletsOf(svd, { start: rank, end }),
        }));
      },
    });
    return { ...method, coordinates: "renewed" };
  },
});
