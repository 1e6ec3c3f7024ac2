import { addWeighted, mul, type Tensor, tensor, tidy, zeros } from "../../../engine/mod.ts";
import { productNorm } from "../../../engine/linalg/mod.ts";
import { layerSettings, lora, scalingOf } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import type { Uploads } from "../../aggregation/aggregator.ts";
import { take, type Tensors } from "../../tensors.ts";
import { defineMethod } from "../define_method.ts";
import { layersOf, lowRankAveraging } from "../parts/low_rank.ts";
import { globalOptions, mixedRankOptions, mixedRanks } from "../parts/mixed_ranks.ts";
import { leadingRank } from "../../client/start_of_rank.ts";

/**
 * HetLoRA (Cho et al., arXiv 2401.06432), without its pruning of ranks: a client gets the leading rows of A and columns of B of its own
 * rank; the server fills what comes back up with zeros and weighs each client by ‖B_k·A_k‖_F over all layers. All have the scale
 * of the largest rank, as factors of different scales can't be averaged.
 */
export const hetLora = defineMethod({
  name: "hetlora",
  trains: "LoRA A and B; ranks may differ",
  server: "averages A and B, filled up with zeros, by the size of each client's update",
  rule:
    "A ← Σ q_k·A_k, B ← Σ q_k·B_k, filled up with zeros, with q_k ∝ ‖B_k·A_k‖_F; client k gets the leading r_k",
  up: "A, B: r_k·(o + i)",
  down: "A, B: r_k·(o + i)",
  papers: ["2401.06432"],
  options: mixedRankOptions,
  create(given) {
    const options = globalOptions(given);
    const scaling = scalingOf(options);
    const ranks = { ...mixedRanks(given), scaling: () => scaling };
    const inner = lowRankAveraging(options, { name: "hetlora", initialization: lora });
    return {
      ...inner,
      sees: "each",
      mixesRanks: given.ranks !== undefined,
      plan(state, round) {
        const plan = inner.plan(state, round);
        if (given.ranks === undefined) return plan;
        const { trained } = plan;
        return { trained, ranks, start: leadingRank(state.global, ranks) };
      },
      async apply(state, { values, each }) {
        using held = new Held();
        const layers = layersOf(state.global);
        const scales = new Map(layers.map((each) => [each, layerSettings(each, options).scaling / scaling]));
        const weights = await weightsOf(each!, scales);
        const factors = new Map<string, Tensor>();
        for (const name of layers.flatMap((layer) => [`${layer}.loraA`, `${layer}.loraB`])) {
          const { gpu, shape } = take(state.global, name);
          const mean = held.hold(zeros(gpu, shape));
          each!.forEach((uploads, i) =>
            tidy(() => addWeighted(mean, take(uploads.values, name), tensor(gpu, weights[i]!)))
          );
          factors.set(name, mean);
        }
        held.release(factors);
        return { global: new Map([...state.global, ...values, ...factors]) };
      },
    };
  },
});

/**
 * ‖B_k·A_k‖_F over all layers, those of another scale weighed by it, by its sum over clients, in the groups that clients came in; their shares where all are 0. */
async function weightsOf(
  each: readonly Uploads[],
  scales: ReadonlyMap<string, number>,
): Promise<number[][]> {
  const norms = await Promise.all(each.map(({ values }) => readNorms(values, scales)));
  const total = norms.flat().reduce((sum, norm) => sum + norm, 0);
  return each.map(({ shares }, i) => total > 0 ? norms[i]!.map((norm) => norm / total) : [...shares]);
}

async function readNorms(values: Tensors, scales: ReadonlyMap<string, number>): Promise<number[]> {
  const ofLayers = tidy(() =>
    Array.from(
      scales,
      ([layer, scale]) =>
        mul(productNorm({ b: take(values, `${layer}.loraB`), a: take(values, `${layer}.loraA`) }), scale),
    )
  );
  try {
    const read = await Promise.all(ofLayers.map((norm) => norm.floats()));
    return Array.from(read[0]!, (_, client) => Math.hypot(...read.map((norms) => norms[client]!)));
  } finally {
    for (const norm of ofLayers) norm.dispose();
  }
}
