import { z } from "zod";
import { isHead, trainableParameters, withOwnParameters } from "../../method.ts";
import { averaging } from "../parts/averaging/averaging.ts";
import { defineMethod } from "../define_method.ts";

/** FedBF: only biases and the head are trained (BitFit, Ben Zaken et al., arXiv 2106.10199) and averaged. */
export const biasOnly = defineMethod({
  name: "fedbf",
  trains: "biases",
  server: "averages them",
  rule: "b ← Σ p_k·b_k",
  up: "b: o",
  down: "b: o",
  papers: ["2106.10199"],
  options: z.strictObject({}),
  create: () =>
    averaging({
      name: "fedbf",
      check: (pretrained) => void trainableParameters(pretrained, isTrained),
      start: (pretrained) => Promise.resolve(withOwnParameters(pretrained, isTrained)),
      isTrained,
    }),
});

function isTrained(name: string): boolean {
  return isHead(name) || name.endsWith(".bias");
}
