import type { Tensor } from "../../../engine/mod.ts";
import { AttentionPoint } from "../../../models/mod.ts";

/** The parts of a {@linkcode PrefixAttention}. */
export interface PrefixAttentionOptions {
  /** Of the attention's queries, keys and values. */
  readonly width: number;
  readonly heads: number;
  /** [P, width], or [C, P, width]. */
  readonly keys: Tensor;
  /** Shaped as the keys. */
  readonly values: Tensor;
}

/**
 * Keys and values in front of those of each text's tokens, which its tokens attend to: prefix tuning (Li and Liang, arXiv 2101.00190) and
 * P-tuning v2 (Liu et al., arXiv 2110.07602), without the network that the former draws them from while it trains.
 *
 * @example
 * ```ts no-run
 * const point = new PrefixAttention({ width: 384, heads: 12, keys, values });
 * ```
 */
export class PrefixAttention extends AttentionPoint {
  override readonly keys: Tensor;
  override readonly values: Tensor;

  constructor({ keys, values, ...sizes }: PrefixAttentionOptions) {
    super(sizes);
    this.keys = keys;
    this.values = values;
  }

  override get isPlain(): boolean {
    return false;
  }
}
