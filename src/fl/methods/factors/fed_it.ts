import { lora } from "../../../federa/mod.ts";
import { adapterOptions } from "../parts/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/low_rank.ts";

/** FedIT (Zhang et al., arXiv 2305.05644): plain LoRA, A and B averaged separately. */
export const fedIt = defineMethod({
  name: "fedit",
  trains: "LoRA A and B",
  server: "averages A and B separately",
  papers: ["2305.05644"],
  options: adapterOptions,
  create: (options) => lowRankAveraging(options, { name: "fedit", initialization: lora }),
});
