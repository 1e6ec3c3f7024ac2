import { type Tensor, tidy } from "../../../engine/mod.ts";
import { lowRankSvd } from "../../../engine/linalg/mod.ts";
import { layerSettings, leadingFactors, lora, scalingOf } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import type { Uploads } from "../../aggregation/aggregator.ts";
import { clientProducts } from "../parts/client_products.ts";
import { defineMethod } from "../define_method.ts";
import { layersOf, lowRankAveraging } from "../parts/low_rank.ts";
import { globalOptions, mixedRankOptions, type MixedRanks, mixedRanks } from "../parts/mixed_ranks.ts";
import { leadingRank } from "../../client/start_of_rank.ts";

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
  create(given) {
    const [ranks, options] = [mixedRanks(given), globalOptions(given)];
    const scaling = scalingOf(options);
    const inner = lowRankAveraging(options, { name: "flexlora", initialization: lora });
    return {
      ...inner,
      sees: "each",
      coordinates: "renewed",
      mixesRanks: given.ranks !== undefined,
      plan(state, round) {
        const plan = inner.plan(state, round);
        if (given.ranks === undefined) return plan;
        const { trained } = plan;
        // B begins zero: the scale of A is LoRA's own then.
        const scale = (client: number) => round === 1 ? 1 : Math.sqrt(scaling / ranks.scaling(client));
        return { trained, ranks, start: leadingRank(state.global, ranks, scale) };
      },
      async apply(state, { values, each }) {
        using held = new Held();
        const factors = new Map<string, Tensor>();
        for (const layer of layersOf(state.global)) {
          const own = await decompose(layer, each!, {
            ranks: mixedRanks(given, layer),
            scaling: layerSettings(layer, options).scaling,
          });
          factors.set(`${layer}.loraA`, held.hold(own.loraA)).set(`${layer}.loraB`, held.hold(own.loraB));
        }
        held.release(factors);
        return { global: new Map([...state.global, ...values, ...factors]) };
      },
    };
  },
});

/** The leading triplets of the mean of a layer's updates as global factors. */
async function decompose(
  layer: string,
  each: readonly Uploads[],
  { ranks, scaling }: { readonly ranks: MixedRanks; readonly scaling: number },
) {
  using held = new Held();
  const { a, b } = tidy(() => clientProducts(layer, each, ranks));
  held.hold(a);
  held.hold(b);
  const svd = await lowRankSvd({ a, b }, { rank: ranks.largest });
  for (const part of [svd.u, svd.s, svd.vt]) held.hold(part);
  return tidy(() => leadingFactors(svd, { rank: ranks.largest, scaling }));
}
