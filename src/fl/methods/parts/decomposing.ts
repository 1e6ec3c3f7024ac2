import { type Tensor, tidy } from "../../../engine/mod.ts";
import { type LowRankProduct, lowRankSvd } from "../../../engine/linalg/mod.ts";
import { leadingFactors, lora } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import type { Uploads } from "../../aggregation/aggregator.ts";
import { leadingRank } from "../../client/start_of_rank.ts";
import type { Method } from "../../method.ts";
import type { Tensors } from "../../tensors.ts";
import type { Averaged } from "./averaging.ts";
import { layersOf } from "./layer_names.ts";
import { lowRankAveraging } from "./low_rank.ts";
import { globalOptions, type MixedRankOptions, type MixedRanks, mixedRanks } from "./mixed_ranks.ts";

/** What a layer's new weight change is made of. */
export interface LayerUploads {
  readonly each: readonly Uploads[];
  readonly ranks: MixedRanks;
  /** Global values at the start of the round. */
  readonly global: Tensors;
}

/** Options of {@linkcode decomposing}. */
export interface DecomposingOptions {
  readonly name: string;
  /** The new change of a layer's weight, as a product that is never formed. */
  readonly product: (layer: string, uploads: LayerUploads) => LowRankProduct;
}

/**
 * A method whose server makes one product of the uploads and takes it apart by an SVD; a client gets the leading triplets of its own rank
 * as B = U_r·√(S_r/s_k) and A = √(S_r/s_k)·V_rᵀ.
 */
export function decomposing(
  given: MixedRankOptions,
  { name, product }: DecomposingOptions,
): Method<Averaged> {
  const [ranks, options] = [mixedRanks(given), globalOptions(given)];
  const inner = lowRankAveraging(options, { name, initialization: lora });
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
      const scale = (client: number) =>
        round === 1 ? 1 : Math.sqrt(ranks.globalScaling / ranks.scaling(client));
      return { trained, ranks, start: leadingRank(state.global, ranks, scale) };
    },
    async apply({ global }, { values, each }) {
      using held = new Held();
      const factors = new Map<string, Tensor>();
      for (const layer of layersOf(global)) {
        const ranks = mixedRanks(given, layer);
        const whole = tidy(() => product(layer, { each: each!, ranks, global }));
        const own = await decompose(whole, { rank: ranks.largest, scaling: ranks.globalScaling });
        factors.set(`${layer}.loraA`, held.hold(own.loraA)).set(`${layer}.loraB`, held.hold(own.loraB));
      }
      held.release(factors);
      return { global: new Map([...global, ...values, ...factors]) };
    },
  };
}

/** The leading triplets of a product, which it frees, as factors. */
async function decompose(
  product: LowRankProduct,
  options: { readonly rank: number; readonly scaling: number },
) {
  using held = new Held();
  const svd = held.hold(await lowRankSvd(held.hold(product), { rank: options.rank }));
  return tidy(() => leadingFactors(svd, options));
}
