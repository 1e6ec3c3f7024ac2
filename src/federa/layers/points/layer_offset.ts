import { add, reshape, type Tensor } from "../../../engine/mod.ts";
import { LayerPoint } from "../../../models/mod.ts";

/**
 * A vector that is added to every token's state behind a layer, and is trained: the domain residual adapter of eTT in our reading,
 * which Basu et al. (arXiv 2304.01917) put beside AttnScale.
 *
 * @example
 * ```ts no-run
 * const point = new LayerOffset({ width: 384, offset: zeros(gpu, [384]) });
 * ```
 */
export class LayerOffset extends LayerPoint {
  /** [width], or [C, width]. */
  readonly offset: Tensor;

  constructor({ width, offset }: { readonly width: number; readonly offset: Tensor }) {
    super({ width });
    this.offset = offset;
  }

  override forward(x: Tensor): Tensor {
    const { offset } = this;
    if (offset.ndim === 1) return add(x, offset);
    const between = new Array<number>(x.ndim - 2).fill(1);
    return add(x, reshape(offset, [offset.shape[0]!, ...between, this.width]));
  }
}
