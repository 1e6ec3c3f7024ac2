import { z } from "zod";
import { attachPst, checkPst, pstParameters } from "../../../federa/mod.ts";
import { isHead, withOwnParameters } from "../../method.ts";
import { adapterOptions, adapterTargets } from "../parts/adapters/adapter_options.ts";
import { averaging } from "../parts/averaging/averaging.ts";
import { defineMethod } from "../define_method.ts";

/**
 * PST (Li et al., arXiv 2205.11005) in a federation: weights are pruned while a low-rank change and the scores that choose what stays are
 * trained and averaged, each on its own; the mask follows from the averages. Pruned from the first step, where the authors raise the
 * sparsity over the run: the model doesn't start as the pretrained one.
 */
export const pst = defineMethod({
  name: "pst",
  trains: "a low-rank change of pruned weights, and the scores that choose which entries stay",
  server: "averages change and scores, from which the mask follows",
  rule:
    "W′ = (W + β·U·V) ⊙ M, M = 1 at the v largest of |W + β·U·V| + A·B + R + C; U, V, A, B, R, C ← Σ p_k·(U, V, A, B, R, C)_k",
  up: "U, V, A, B, R, C: 2·r·(o + i) + o + i",
  down: "U, V, A, B, R, C: 2·r·(o + i) + o + i",
  papers: ["2205.11005"],
  options: adapterOptions.pick({ rank: true, alpha: true, targets: true }).extend({
    /** Share of each weight's entries that are pruned. */
    sparsity: z.number().min(0).lt(1).default(0.5),
  }),
  create(options) {
    const { rank, alpha, sparsity } = options;
    return averaging({
      name: "pst",
      check: (pretrained) => checkPst(pretrained, { targets: adapterTargets(pretrained, options), rank }),
      start: (pretrained, { seed }) =>
        Promise.resolve(
          attachPst(withOwnParameters(pretrained, isHead), {
            targets: adapterTargets(pretrained, options),
            rank,
            scaling: alpha / rank,
            sparsity,
            seed,
          }),
        ),
      isTrained: (name, model) => isHead(name) || pstParameters(model).has(name),
    });
  },
});
