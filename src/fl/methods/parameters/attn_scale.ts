import { z } from "zod";
import {
  attachAttentionScales,
  checkAttentionScales,
  LayerOffset,
  parametersWithin,
  ScaledAttention,
} from "../../../federa/mod.ts";
import { attachedAveraging } from "../parts/averaging/attached.ts";
import { defineMethod } from "../define_method.ts";

/**
 * AttnScale with domain residuals: a factor of each head's attention matrix and an offset behind each layer are trained with the head
 * (Basu et al., arXiv 2304.01917, in our reading: see `ScaledAttention` and `LayerOffset`), and averaged.
 */
export const attnScale = defineMethod({
  name: "attn-scale",
  trains: "a factor of each attention matrix, an offset behind each layer",
  server: "averages them",
  rule: "α ← Σ p_k·α_k of α_h·softmax(S_h)·V_h, δ ← Σ p_k·δ_k of a layer's states + δ",
  up: "α of H heads, δ: H + d",
  down: "α, δ: H + d",
  papers: ["2304.01917"],
  options: z.strictObject({
    /** What is multiplied: the attention weights, or the scores before the softmax. */
    scaled: z.enum(["probabilities", "logits"]).default("probabilities"),
    /** Whether offsets are trained too. */
    offsets: z.boolean().default(true),
  }),
  create: (options) =>
    attachedAveraging({
      name: "attn-scale",
      check: checkAttentionScales,
      attach: (model) => attachAttentionScales(model, options),
      attached: (model) =>
        new Set([...parametersWithin(model, ScaledAttention), ...parametersWithin(model, LayerOffset)]),
    }),
});
