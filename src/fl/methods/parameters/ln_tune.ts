import { z } from "zod";
import { layerNormParameters } from "../../../federa/mod.ts";
import type { TaskModel } from "../../../tasks/mod.ts";
import { isHead, trainableParameters, withOwnParameters } from "../../method.ts";
import { averaging } from "../parts/averaging/averaging.ts";
import { defineMethod } from "../define_method.ts";

/**
 * LN-Tune: scales and shifts of layer normalisations and the head are trained (Basu et al., arXiv 2304.01917) and averaged. They are
 * what is averaged, with no product between, so the global model is the mean of the clients' models.
 */
export const lnTune = defineMethod({
  name: "ln-tune",
  trains: "scales and shifts of layer normalisations",
  server: "averages them",
  rule: "γ ← Σ p_k·γ_k, β ← Σ p_k·β_k",
  up: "scale γ and shift β of each layer normalisation: 2·d",
  down: "γ, β: 2·d",
  papers: ["2304.01917"],
  options: z.strictObject({}),
  create: () =>
    averaging({
      name: "ln-tune",
      check(pretrained) {
        if (layerNormParameters(pretrained).size > 0) return;
        throw new TypeError("Cannot run ln-tune: expected a model with layer normalisations, got none");
      },
      start(pretrained) {
        const names = trainableParameters(pretrained, (name) => isTrained(name, pretrained));
        return Promise.resolve(withOwnParameters(pretrained, (name) => names.has(name)));
      },
      isTrained,
    }),
});

function isTrained(name: string, model: TaskModel): boolean {
  return isHead(name) || layerNormParameters(model).has(name);
}
