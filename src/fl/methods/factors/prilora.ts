import { z } from "zod";
import { matchLinears, observedLora } from "../../../federa/mod.ts";
import type { TaskModel } from "../../../tasks/mod.ts";
import { type AdapterOptions, adapterOptions, adapterTargets } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { withoutPart } from "../parts/adapters/layer_names.ts";
import { inputPruning, NORMS } from "../parts/local/input_pruning.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

/** Why its uploads aren't protected by noise. */
const normsSent =
  "it sends the sizes of inputs beside what is trained, which have no bound that noise could be scaled to: take federa-ffa";

/**
 * PRILoRA (Benedek & Wolf, arXiv 2401.11316), federated: ranks grow linearly with the depth of a layer, with r as their mean; and every few
 * steps the entries of A that matter least are set to zero, in each row the share with the smallest |A_ij|·‖x_j‖, of which clients keep a
 * moving average over the steps of the round. They may grow again. The server averages A and B separately.
 */
export const priLora = defineMethod({
  name: "prilora",
  trains: "LoRA A and B, of ranks that grow with depth; A is pruned by magnitude and input norm",
  server: "averages A and B separately",
  rule:
    "r_l from r·(1 − spread) to r·(1 + spread) over depth; every k steps A_ij ← 0 for the smallest |A_ij|·EMA(‖x_j‖) of each row; A ← Σ p_k·A_k, B ← Σ p_k·B_k",
  up: "A, B: r_l·(o + i)",
  down: "A, B: r_l·(o + i)",
  papers: ["2401.11316"],
  options: adapterOptions.omit({ rankPattern: true }).extend({
    /** How far the first and the last layer's ranks are from r, as a share of it. */
    spread: z.number().min(0).lt(1).default(0.5),
    /** Steps from one pruning to the next. */
    pruneEvery: z.int().min(1).max(1e6).default(40),
    /** The share of each row of A that is set to zero. */
    pruneShare: z.number().min(0).lt(1).default(0.5),
    /** How much of the moving average stays each step. */
    decay: z.number().min(0).lt(1).default(0.9),
  }),
  create({ spread, pruneEvery, pruneShare, decay, ...options }) {
    const on = (pretrained: TaskModel) =>
      lowRankAveraging({ ...options, rankPattern: ranksByDepth(pretrained, options, spread) }, {
        name: "prilora",
        initialization: observedLora,
        factors: ["loraA", "loraB", NORMS],
      });
    const { parameters, plan, apply } = lowRankAveraging(options, {
      name: "prilora",
      initialization: observedLora,
    });
    return {
      name: "prilora",
      sendsOtherwise: true,
      unsoundWith: { differentialPrivacy: normsSent, localPrivacy: normsSent },
      parameters,
      apply,
      check: (pretrained) => on(pretrained).check(pretrained),
      init: (pretrained, context) => on(pretrained).init(pretrained, context),
      plan(state, round) {
        const inner = plan(state, round);
        return {
          ...inner,
          download: (client) => withoutPart(inner.download!(client), NORMS),
          local: inputPruning(state.global, { pruneEvery, pruneShare, decay }),
        };
      },
    };
  },
});

/** Ranks by layer: linear in depth, the first number in a layer's name; of layers without numbers, their order. */
export function ranksByDepth(
  pretrained: TaskModel,
  options: Pick<AdapterOptions, "rank" | "targets">,
  spread: number,
): Record<string, number> {
  const { rank } = options;
  const names = matchLinears(pretrained, adapterTargets(pretrained, options as AdapterOptions));
  const depthOf = (name: string) => /\.(\d+)\./.exec(name)?.[1] ?? name;
  const depths = [...new Set(names.map(depthOf))];
  const [first, last] = [rank * (1 - spread), rank * (1 + spread)];
  const rankAt = (depth: number) =>
    depths.length === 1
      ? rank
      : Math.max(1, Math.round(first + (last - first) * depth / (depths.length - 1)));
  return Object.fromEntries(names.map((name) => [name, rankAt(depths.indexOf(depthOf(name)))]));
}
