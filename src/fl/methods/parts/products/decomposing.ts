import { tidy } from "../../../../engine/mod.ts";
import { type LowRankProduct, lowRankSvd } from "../../../../engine/linalg/mod.ts";
import { leadingFactors, lora } from "../../../../federa/mod.ts";
import { Held } from "../../../held.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import { leadingRank } from "../../../client/start_of_rank.ts";
import type { Method } from "../../../method.ts";
import type { Tensors } from "../../../tensors.ts";
import type { Averaged } from "../averaging/averaging.ts";
import { layersOf } from "../adapters/layer_names.ts";
import { makeParts, nameParts } from "../adapters/layer_parts.ts";
import { lowRankAveraging } from "../averaging/low_rank.ts";
import {
  globalOptions,
  type MixedRankOptions,
  type MixedRanks,
  mixedRanks,
} from "../adapters/mixed_ranks.ts";

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
      const factors = await makeParts(layersOf(global), async (layer) => {
        const ranks = mixedRanks(given, layer);
        using held = new Held();
        const whole = held.hold(tidy(() => product(layer, { each: each!, ranks, global })));
        const { largest: rank, globalScaling: scaling } = ranks;
        const svd = held.hold(await lowRankSvd(whole, { rank }));
        return { ...tidy(() => leadingFactors(svd, { rank, scaling })) };
      });
      return { global: new Map([...global, ...values, ...nameParts(factors)]) };
    },
  };
}
