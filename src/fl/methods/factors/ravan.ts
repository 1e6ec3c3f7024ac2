import { z } from "zod";
import { mul, reshape } from "../../../engine/mod.ts";
import { ravanBases } from "../../../federa/mod.ts";
import { take } from "../../tensors.ts";
import { adapterOptions } from "../parts/adapters/adapter_options.ts";
import { defineMethod } from "../define_method.ts";
import { layersOf, withoutPart } from "../parts/adapters/layer_names.ts";
import { lowRankAveraging } from "../parts/averaging/low_rank.ts";

const [CORES, SCALES] = ["loraH", "headScales"] as const;

/** Why its uploads aren't protected by noise. */
const productsSent =
  "it sends products of two things that are trained, of which neither has the bound that noise is scaled to: take federa-sb";

/**
 * RAVAN (Raje et al., arXiv 2506.05568): ΔW = s·Σ_i s_i·B_i·H_i·A_i of h heads between frozen bases that all draw by the seed. Clients
 * train H_i and s_i and send s_i·H_i, whose mean is exactly that of their updates; s_i begins each round at 1.
 */
export const ravan = defineMethod({
  name: "ravan",
  trains: "cores H_i and scales s_i of several heads between frozen orthonormal bases",
  server: "averages s_i·H_i, which is exact",
  rule: "ΔW = s·Σ_i s_i·B_i·H_i·A_i, B_i and A_i drawn and frozen; H_i ← Σ p_k·s_{i,k}·H_{i,k}, s_i ← 1",
  up: "s_i·H_i: h·r²",
  down: "H_i: h·r²",
  papers: ["2506.05568"],
  options: adapterOptions.extend({
    /** h, the heads of each layer; each has the rank r. */
    heads: z.int().min(1).max(1024).default(4),
  }),
  create(options) {
    const inner = lowRankAveraging(options, {
      name: "ravan",
      initialization: ravanBases(options),
      factors: [CORES, SCALES],
    });
    return {
      ...inner,
      sendsOtherwise: true,
      unsoundWith: { differentialPrivacy: productsSent, localPrivacy: productsSent },
      plan(state, round) {
        const plan = inner.plan(state, round);
        return {
          ...plan,
          // Everybody begins with scales of 1.
          download: (client) => withoutPart(plan.download!(client), SCALES),
          local: {
            finish(values) {
              const upload = withoutPart(values, SCALES);
              for (const layer of layersOf(values, CORES)) {
                const scales = take(values, `${layer}.${SCALES}`);
                const cores = take(values, `${layer}.${CORES}`);
                upload.set(`${layer}.${CORES}`, mul(cores, reshape(scales, [...scales.shape, 1, 1])));
              }
              return { upload };
            },
          },
        };
      },
    };
  },
});
