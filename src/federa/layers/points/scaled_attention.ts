import { broadcastTo, mul, reshape, type Tensor } from "../../../engine/mod.ts";
import { AttentionPoint } from "../../../models/mod.ts";

/** What of an attention is multiplied: the scores before the softmax, or the weights after it. */
export type AttentionScaled = "logits" | "probabilities";

/** The parts of a {@linkcode ScaledAttention}. */
export interface ScaledAttentionOptions {
  /** Of the attention's queries, keys and values. */
  readonly width: number;
  readonly heads: number;
  /** α [heads], or [C, heads]. */
  readonly scale: Tensor;
  readonly scaled: AttentionScaled;
}

/**
 * An attention whose matrix of each head h is multiplied by a number α_h that is trained: AttnScale of Basu et al. (arXiv 2304.01917), in our
 * reading. They scale each attention matrix before its product with the values, which is `probabilities`: α_h·softmax(S)·V; factors
 * for each element, which would fix the length of texts, aren't here. `logits` is softmax(α_h·S)·V with S = QKᵀ/√d and the terms of distances,
 * where there are any.
 *
 * @example
 * ```ts no-run
 * const point = new ScaledAttention({ width: 384, heads: 12, scale: ones(gpu, [12]), scaled: "probabilities" });
 * ```
 */
export class ScaledAttention extends AttentionPoint {
  readonly scale: Tensor;
  readonly scaled: AttentionScaled;

  constructor({ scale, scaled, ...sizes }: ScaledAttentionOptions) {
    super(sizes);
    this.scale = scale;
    this.scaled = scaled;
  }

  override get isPlain(): boolean {
    return false;
  }

  override queries(x: Tensor): Tensor {
    return this.scaled === "logits" ? byHead(x, this.scale) : x;
  }

  override mixed(x: Tensor): Tensor {
    return this.scaled === "probabilities" ? byHead(x, this.scale) : x;
  }
}

/** x [..., width] with the columns of each head multiplied by its number, [heads] or [C, heads]; x may have no client axis. */
function byHead(x: Tensor, scale: Tensor): Tensor {
  const width = x.shape.at(-1)!;
  const heads = scale.shape.at(-1)!;
  const members = scale.shape.slice(0, -1);
  const wide = broadcastTo(reshape(scale, [...members, heads, 1]), [...members, heads, width / heads]);
  const between = members.length === 0 ? [] : new Array<number>(Math.max(1, x.ndim - 2)).fill(1);
  return mul(x, reshape(wide, [...members, ...between, width]));
}
