import { z } from "zod";
import { attachPrompt, checkPrompt, parametersWithin, VirtualTokens } from "../../../federa/mod.ts";
import { attachedAveraging } from "../parts/averaging/attached.ts";
import { defineMethod } from "../define_method.ts";

/**
 * Prompt tuning: the embeddings of virtual tokens in front of every text are trained with the head (Lester et al., arXiv 2104.08691), and
 * averaged.
 */
export const promptTuning = defineMethod({
  name: "prompt-tuning",
  trains: "embeddings of virtual tokens in front of texts",
  server: "averages them",
  rule: "E ← Σ p_k·E_k of P virtual tokens of width e",
  up: "E: P·e, once",
  down: "E: P·e",
  papers: ["2104.08691"],
  options: z.strictObject({
    /** Number P of virtual tokens; texts may be that much shorter than the encoder reads. */
    tokens: z.int().min(1).max(4096).default(10),
  }),
  create: ({ tokens }) =>
    attachedAveraging({
      name: "prompt-tuning",
      positions: tokens,
      check: (pretrained) => checkPrompt(pretrained, { tokens }),
      attach: (model, seed) => attachPrompt(model, { tokens, seed }),
      attached: (model) => parametersWithin(model, VirtualTokens),
    }),
});
