import { z } from "zod";
import { trainableParameters, withOwnParameters } from "../../method.ts";
import { averaging } from "../parts/averaging/averaging.ts";
import { defineMethod } from "../define_method.ts";

/** Full fine-tuning: every parameter is trained and averaged. The costly reference. */
export const fullFineTuning = defineMethod({
  name: "full",
  aliases: ["fft"],
  trains: "every parameter",
  server: "averages them",
  rule: "W ← Σ p_k·W_k",
  up: "W: o·i",
  down: "W: o·i",
  papers: ["1602.05629"],
  options: z.strictObject({}),
  create: () =>
    averaging({
      name: "full",
      check: (pretrained) => void trainableParameters(pretrained, () => true),
      start: (pretrained) => Promise.resolve(withOwnParameters(pretrained, () => true)),
      isTrained: () => true,
    }),
});
