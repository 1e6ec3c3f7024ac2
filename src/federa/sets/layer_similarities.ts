import { concat, keep, matmul, mul, noGrad, reshape, type Tensor, tidy } from "../../engine/mod.ts";
import {
  AttentionPoint,
  type Backbone,
  type Inputs,
  LayerPoint,
  TokenPoint,
  type TokenTensors,
  unpackTokens,
} from "../../models/mod.ts";

/** Looks at a layer's states on their way. */
class Witness extends LayerPoint {
  readonly see: (states: Tensor) => void;

  constructor({ width }: LayerPoint, see: (states: Tensor) => void) {
    super({ width });
    this.see = see;
  }

  override forward(x: Tensor): Tensor {
    this.see(x);
    return x;
  }
}

/**
 * Inner products of texts by each layer's states, with nothing in front of texts: [..., L, B, B] with X·Xᵀ of layer l, the row of X [B, T·D]
 * being all states of a text, 0 where there is padding. The sum's order follows T.
 *
 * @param inputs of texts, [..., B, T].
 * @example
 * ```ts no-run
 * using products = layerSimilarities(model.encoder, inputs);
 * ```
 */
export function layerSimilarities(encoder: Backbone, inputs: Inputs): Tensor {
  const { attentionMask } = inputs as TokenTensors;
  const [texts, length] = attentionMask.shape.slice(-2) as [number, number];
  const outer = attentionMask.shape.slice(0, -2);
  const seen: Tensor[] = [];
  const see = (states: Tensor) => {
    seen.push(keep(tidy(() => {
      const own = mul(unpackTokens(states, inputs), reshape(attentionMask, [...attentionMask.shape, 1]));
      const rows = reshape(own, [...outer, texts, length * states.shape.at(-1)!]);
      return reshape(matmul(rows, rows, { transposeB: true }), [...outer, 1, texts, texts]);
    })));
  };
  const bare = encoder.mapModules((_, module) => {
    if (module instanceof AttentionPoint) return new AttentionPoint(module);
    if (module instanceof TokenPoint) return new TokenPoint({ width: module.width });
    return module instanceof LayerPoint ? new Witness(module, see) : module;
  });
  try {
    return tidy(() => {
      noGrad(() => bare.encode(inputs));
      return concat(seen, { axis: -3 });
    });
  } finally {
    for (const each of seen) each.dispose();
  }
}
