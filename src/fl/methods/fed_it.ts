import { attachAdapters, lora } from "../../federa/mod.ts";
import { averagingMethod } from "../fed_avg.ts";
import { isHead, withOwnParameters } from "../method.ts";

/** FedIT (Zhang et al., arXiv 2305.05644): plain LoRA, A and B averaged separately. */
export const fedIt = averagingMethod({
  name: "fedit",
  summary: "plain LoRA; A and B averaged separately (arXiv 2305.05644)",
  init: async (pretrained, options) => ({
    model: await attachAdapters(withOwnParameters(pretrained, isHead), { ...options, initialization: lora }),
  }),
  trainable: (name) => isHead(name) || /\.lora[AB]$/.test(name),
});
