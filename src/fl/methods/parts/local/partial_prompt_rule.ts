import { add, div, sub, type Tensor, tensor } from "../../../../engine/mod.ts";
import { layerSimilarities } from "../../../../federa/mod.ts";
import type { LocalRule } from "../../../method.ts";
import { perMember, type Shapes, take } from "../../../tensors.ts";
import { layerScore } from "./layer_score.ts";

/** By what names the server's control variates are sent down. */
export const CONTROL = "control/";
/** By what names a client keeps its own, and sends them. */
export const OWN = "own-control/";
/** By what names their change is sent. */
export const CHANGE = "control-change/";
/** By what name scores of layers are sent. */
export const SCORES = "scores";
const SIMILARITIES = "similarities";

/**
 * What a client of FedPepTAO does beside plain descent: c_k⁺ = c_k − c + (x − y_k)/(steps·learning rate), of which it sends the change, and
 * c_k but in the first round; there it scores layers by its first batch, see {@linkcode layerScore}.
 *
 * @param shared shapes of what is shared.
 * @param scored names of the layers in the first round.
 */
export function partialPromptRule(shared: Shapes, scored: readonly string[] = []): LocalRule {
  const scores: LocalRule = {
    observe: ({ encoder }, inputs) => new Map([[SIMILARITIES, layerSimilarities(encoder, inputs)]]),
    async prepare(_, { prepared }) {
      const products = take(prepared, SIMILARITIES);
      const [members, layers, size] = products.shape as [number, number, number];
      const values = new Float32Array(members * layers);
      if (!products.gpu.isRehearsing) {
        const all = await products.floats();
        const step = size * size;
        values.forEach((_, i) => values[i] = layerScore(all.subarray(i * step, (i + 1) * step), size));
      }
      return new Map([[SCORES, tensor(products.gpu, values, { shape: [members, layers] })]]);
    },
  };
  return {
    ...(scored.length > 0 && scores),
    keeps: new Map([...shared].map(([name, shape]) => [OWN + name, shape])),
    sends: new Map([
      ...shared,
      ...[...shared].map(([name, shape]) => [CHANGE + name, shape] as const),
      ...scored.length > 0
        ? [[SCORES, [scored.length]] as const]
        : [...shared].map(([name, shape]) => [OWN + name, shape] as const),
    ]),
    finish(values, { start, sent, kept, prepared, steps, learningRate }) {
      const upload = new Map<string, Tensor>();
      const keep = new Map<string, Tensor>();
      for (const name of shared.keys()) {
        const [value, own, c] = [take(values, name), take(kept, OWN + name), sent.get(CONTROL + name)];
        const lengths = tensor(value.gpu, steps.map((count) => count * learningRate));
        const gradient = div(sub(take(start, name), value), perMember(lengths, value));
        const change = c ? sub(gradient, c) : gradient;
        upload.set(name, value).set(CHANGE + name, change);
        if (scored.length === 0) upload.set(OWN + name, own);
        keep.set(OWN + name, add(own, change));
      }
      if (scored.length > 0) upload.set(SCORES, take(prepared, SCORES));
      return { upload, keep };
    },
  };
}
