import { federa } from "../../federa/mod.ts";
import { averagingMethod } from "../fed_avg.ts";
import { adaptEncoder, checkEncoderAdapters } from "./_adapt.ts";
import { fedIt } from "./fed_it.ts";

/** FeDeRA (arXiv 2404.18848): FedIT from factors that the SVD of the pretrained weights gives. */
export const feDeRa = averagingMethod({
  name: "federa",
  summary: "LoRA from the SVD of the pretrained weights; A and B averaged separately (arXiv 2404.18848)",
  check: checkEncoderAdapters,
  init: async (pretrained, options) => ({
    model: await adaptEncoder(pretrained, { ...options, initialization: federa({ svd: options.svd }) }),
  }),
  trainable: fedIt.trainable,
});
