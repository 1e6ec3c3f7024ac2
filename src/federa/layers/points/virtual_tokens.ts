import type { Tensor } from "../../../engine/mod.ts";
import { TokenPoint } from "../../../models/mod.ts";

/**
 * Virtual tokens in front of each text's own, whose embeddings are trained: prompt tuning (Lester et al., arXiv 2104.08691). They have
 * positions 0 to P − 1 and the first kind, and the text's own tokens stand behind them, as in PEFT. Their states are no outputs, and
 * pooling leaves them out: `cls` and `pooler` read the text's own first token, where PEFT's models read the first virtual one.
 *
 * @example
 * ```ts no-run
 * const point = new VirtualTokens({ width: 384, embeddings });
 * ```
 */
export class VirtualTokens extends TokenPoint {
  /** [P, width], or [C, P, width]. */
  override readonly embeddings: Tensor;

  constructor({ width, embeddings }: { readonly width: number; readonly embeddings: Tensor }) {
    super({ width, count: embeddings.shape.at(-2)! });
    this.embeddings = embeddings;
  }
}

/**
 * Positions that are taken in front of each text's own, with nothing at them: where attention has keys and values of its own in front,
 * the text's tokens stand behind these, as in PEFT.
 *
 * @example
 * ```ts no-run
 * const point = new TakenPositions({ width: 384, count: 10 });
 * ```
 */
export class TakenPositions extends TokenPoint {
  constructor({ width, count }: { readonly width: number; readonly count: number }) {
    super({ width, count });
  }
}
