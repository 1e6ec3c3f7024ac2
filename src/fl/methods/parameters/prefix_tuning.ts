import { z } from "zod";
import { attachPrefixes, checkPrefixes, parametersWithin, PrefixAttention } from "../../../federa/mod.ts";
import { attachedAveraging } from "../parts/averaging/attached.ts";
import { defineMethod } from "../define_method.ts";

/**
 * Prefix tuning, as P-tuning v2 does it: keys and values in front of those of every text, in each layer, are trained with the head (Li
 * and Liang, arXiv 2101.00190; Liu et al., arXiv 2110.07602), and averaged. Not with DeBERTa.
 */
export const prefixTuning = defineMethod({
  name: "prefix-tuning",
  trains: "keys and values in front of texts",
  server: "averages them",
  rule: "K ← Σ p_k·K_k, V ← Σ p_k·V_k of P keys and values of width d",
  up: "K, V: 2·P·d",
  down: "K, V: 2·P·d",
  papers: ["2101.00190", "2110.07602"],
  options: z.strictObject({
    /** Number P of keys and values in each layer; texts may be that much shorter than the encoder reads. */
    tokens: z.int().min(1).max(4096).default(10),
  }),
  create: ({ tokens }) =>
    attachedAveraging({
      name: "prefix-tuning",
      positions: tokens,
      check: (pretrained) => checkPrefixes(pretrained, { tokens }),
      attach: (model, seed) => attachPrefixes(model, { tokens, seed }),
      attached: (model) => parametersWithin(model, PrefixAttention),
    }),
});
