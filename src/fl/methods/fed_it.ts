import { lora } from "../../federa/mod.ts";
import { averagingMethod } from "../fed_avg.ts";
import { isHead } from "../method.ts";
import { adaptEncoder, checkEncoderAdapters } from "./_adapt.ts";

/** FedIT (Zhang et al., arXiv 2305.05644): plain LoRA, A and B averaged separately. */
export const fedIt = averagingMethod({
  name: "fedit",
  summary: "plain LoRA; A and B averaged separately (arXiv 2305.05644)",
  check: checkEncoderAdapters,
  init: async (pretrained, options) => ({
    model: await adaptEncoder(pretrained, { ...options, initialization: lora }),
  }),
  trainable: (name) => isHead(name) || /\.lora[AB]$/.test(name),
});
