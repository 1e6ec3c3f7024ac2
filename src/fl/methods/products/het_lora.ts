import { z } from "zod";
import { tidy } from "../../../engine/mod.ts";
import { layerSettings, lora, scalingOf } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { defineMethod } from "../define_method.ts";
import { layersOf } from "../parts/adapters/layer_names.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";
import { globalOptions, mixedRankOptions, mixedRanks } from "../parts/adapters/mixed_ranks.ts";
import { leadingRank } from "../../client/start_of_rank.ts";
import type { Method } from "../../method.ts";
import type { Averaged } from "../parts/averaging/averaging.ts";
import { pruneTails, tailPenalty } from "../parts/local/rank_pruning.ts";
import { factorsOf } from "../parts/adapters/terms.ts";
import { weightsBySize } from "../parts/products/update_sizes.ts";
import { weightedSum } from "../parts/averaging/weighted_sum.ts";

type State = Averaged & {
  /** The rank that each client is left with, where ranks are pruned. */
  readonly ranks?: readonly number[];
};

/**
 * HetLoRA (Cho et al., arXiv 2401.06432): a client gets the leading rows of A and columns of B of its own rank; the server fills what comes
 * back up with zeros and weighs each client by ‖B_k·A_k‖_F over all layers. All have the scale of the largest rank, as factors of different
 * scales can't be averaged.
 *
 * With γ < 1 ranks are pruned: λ·‖B_t‖·‖A_t‖ of the terms from ⌊γ·r_k⌋ on is added to a client's loss, and where these end smaller than they
 * started they are dropped, for good. The server finds that, as it sees each client's factors: so a client's own word isn't needed.
 */
export const hetLora = defineMethod({
  name: "hetlora",
  trains: "LoRA A and B; ranks may differ",
  server: "averages A and B, filled up with zeros, by the size of each client's update",
  rule:
    "A ← Σ q_k·A_k, B ← Σ q_k·B_k, filled up with zeros, with q_k ∝ ‖B_k·A_k‖_F; client k gets the leading r_k, and r_k ← ⌊γ·r_k⌋ where the terms beyond shrank",
  up: "A, B: r_k·(o + i)",
  down: "A, B: r_k·(o + i)",
  papers: ["2401.06432"],
  options: mixedRankOptions.extend({
    /** γ, the share of its rank that a client is left with when the rest shrinks; 1 for no pruning. */
    gamma: z.number().gt(0).max(1).default(1),
    /** λ, what that rest weighs in clients' losses. */
    lambda: z.number().min(0).max(1e6).default(0.001),
  }),
  create(given) {
    const { gamma } = given;
    const prunes = gamma < 1;
    const options = globalOptions(given);
    const scaling = scalingOf(options);
    const first = {
      ...mixedRanks(prunes ? { ...given, ranks: given.ranks ?? [given.rank] } : given),
      scaling: () => scaling,
    };
    const inner = lowRankAveraging(options, { name: "hetlora", initialization: lora });
    const ranksOf = ({ ranks = [] }: State) => ({
      ...first,
      of: (client: number) => ranks[client] ?? first.of(client),
    });
    return {
      ...inner,
      sees: "each",
      mixesRanks: prunes || given.ranks !== undefined,
      async init(pretrained, context) {
        const { model, state } = await inner.init(pretrained, context);
        const ranks = Array.from({ length: context.numClients }, (_, client) => first.of(client));
        return { model, state: prunes ? { ...state, ranks } : state };
      },
      plan(state, round) {
        const plan = inner.plan(state, round);
        if (!prunes && given.ranks === undefined) return plan;
        const ranks = ranksOf(state);
        const local = prunes && { local: tailPenalty(given) };
        return { trained: plan.trained, ranks, start: leadingRank(state.global, ranks), ...local };
      },
      async apply(state, { values, each: uploads }) {
        using held = new Held();
        const [each, ranks] = [[...uploads!], [...state.ranks ?? []]];
        for (const [i, some] of prunes ? uploads!.entries() : []) {
          const { factors, left } = await pruneTails(some, state.global, { ranks: ranksOf(state), gamma });
          each[i] = { ...some, values: new Map([...some.values, ...held.hold(factors)]) };
          some.clients.forEach(({ id }, member) => ranks[id] = left[member]!);
        }
        const layers = layersOf(state.global);
        const scales = new Map(layers.map((each) => [each, layerSettings(each, options).scaling / scaling]));
        const weights = await weightsBySize(each, scales);
        const factors = tidy(() =>
          new Map(factorsOf(state.global).map(({ name }) => [name, weightedSum(each, name, weights)]))
        );
        return { global: new Map([...state.global, ...values, ...factors]), ...(prunes && { ranks }) };
      },
    } satisfies Method<State>;
  },
});
