import { z } from "zod";
import { accumulate, mul, sub } from "../../engine/mod.ts";
import type { LocalRule } from "../method.ts";
import { take } from "../tensors.ts";
import { defineAlgorithm } from "./define_algorithm.ts";
import { withLocalRule } from "./local_rules.ts";

/** FedProx (Li et al., arXiv 1812.06127): (μ/2)·‖y − x‖² is added to each client's loss, so μ·(y − x) to its gradient. */
export const fedProx = defineAlgorithm({
  name: "fedprox",
  summary: "clients are held near the global values by a proximal term",
  papers: ["1812.06127"],
  options: z.strictObject({
    /** μ: 0.001 to 1 are usual. */
    mu: z.number().gt(0).max(1e6).default(0.01),
  }),
  over: (inner, { mu }) => withLocalRule(inner, () => proximal(mu)),
});

function proximal(mu: number): LocalRule {
  return {
    correct(gradients, values, { start }) {
      for (const [name, gradient] of gradients) {
        accumulate(gradient, mul(sub(take(values, name), take(start, name)), mu));
      }
    },
  };
}
