import { federa } from "../../../federa/mod.ts";
import { adapterOptions, svdOption } from "../parts/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { lowRankAveraging } from "../parts/low_rank.ts";

/** FeDeRA (Yan et al., arXiv 2404.18848): FedIT from the factors that the SVD of the pretrained weights gives. */
export const feDeRa = defineMethod({
  name: "federa",
  trains: "A and B from the SVD of the pretrained weights",
  server: "averages A and B separately",
  papers: ["2404.18848"],
  options: adapterOptions.extend({ svd: svdOption }),
  create: (options) => lowRankAveraging(options, { name: "federa", initialization: federa(options) }),
});
