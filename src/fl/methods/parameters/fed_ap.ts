import { z } from "zod";
import {
  attachBottlenecks,
  bottleneckParameters,
  layerNormParameters,
  matchLinears,
} from "../../../federa/mod.ts";
import type { TaskModel } from "../../../tasks/mod.ts";
import { isHead, withOwnParameters } from "../../method.ts";
import { averaging } from "../parts/averaging/averaging.ts";
import { defineMethod } from "../define_method.ts";

/** Where adapters stand: behind attention and feed-forward part, or behind the latter alone. */
const placements = z.enum(["houlsby", "pfeiffer"]);

/**
 * FedAP: bottleneck adapters z + up(gelu(down(z))) in front of residuals are trained with the head, and averaged. `houlsby` puts one
 * after the attention and one after the feed-forward part of each layer, and trains the layer normalisations too (Houlsby et al., arXiv
 * 1902.00751); `pfeiffer` puts one after the feed-forward part (Pfeiffer et al., arXiv 2007.07779, who feed it the normalised state:
 * here it stands where Houlsby's second one does).
 */
export const fedAp = defineMethod({
  name: "fedap",
  trains: "bottleneck adapters of Houlsby or Pfeiffer",
  server: "averages them",
  rule: "down ← Σ p_k·down_k, up ← Σ p_k·up_k of y = z + up(gelu(down(z)))",
  up: "down, up and their biases: 2·o·m + o + m behind each of the layers, γ, β of normalisations: 2·d",
  down: "down, up, biases, γ, β: as many",
  papers: ["1902.00751", "2007.07779"],
  options: z.strictObject({
    placement: placements.default("houlsby"),
    /** Width m of an adapter's middle: on a result of width d it has 2·d·m + d + m parameters. */
    bottleneck: z.int().min(1).max(2 ** 16).default(32),
    /** Whether scales and shifts of layer normalisations are trained too; by default with `houlsby`. */
    layerNorms: z.boolean().optional(),
  }),
  create({ placement, bottleneck, layerNorms = placement === "houlsby" }) {
    const isOwn = (name: string, model: TaskModel) =>
      isHead(name) || (layerNorms && layerNormParameters(model).has(name));
    return averaging({
      name: "fedap",
      check: (pretrained) => void matchLinears(pretrained, targetsOf(pretrained, placement)),
      start(pretrained, { seed }) {
        const own = withOwnParameters(pretrained, (name) => isOwn(name, pretrained));
        const targets = targetsOf(pretrained, placement);
        return Promise.resolve(attachBottlenecks(own, { targets, size: bottleneck, seed }));
      },
      isTrained: (name, model) => isOwn(name, model) || bottleneckParameters(model).has(name),
    });
  },
});

function targetsOf({ encoder }: TaskModel, placement: z.output<typeof placements>): string[] {
  const targets = encoder.residualTargets;
  if (targets === undefined) {
    throw new TypeError(
      "Cannot run fedap: expected an encoder that says which layers' results go to the residual, as every family that is loaded does",
    );
  }
  return [...placement === "houlsby" ? targets.attention : [], ...targets.feedForward];
}
