import { formatShape, type Tensor } from "../../../engine/mod.ts";
import type { FrozenLinear } from "../adapted_linear.ts";
import { FactoredLinear, type LowRankFactors } from "./factored_linear.ts";

export type { LowRankFactors } from "./factored_linear.ts";

/** The parts of a {@linkcode LowRankLinear}. */
export interface LowRankLinearOptions extends FrozenLinear {
  /** A [r, in], or [C, r, in]. */
  readonly loraA: Tensor;
  /** B [out, r], or [C, out, r]. */
  readonly loraB: Tensor;
  /** s = alpha / r: one number, or f32 [C] with one for each client of a block. */
  readonly scaling: number | Tensor;
  /** A₀ and B₀ that were taken out of the pretrained weight; none where it was left alone. */
  readonly initial?: LowRankFactors | undefined;
}

/**
 * A linear layer with a low-rank update (Hu et al., arXiv 2106.09685): y = W·x + b + s·B·(A·x), of which A and B are
 * trained.
 */
export class LowRankLinear extends FactoredLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  /** In an object of its own, as a tensor among the fields would be a parameter. */
  readonly scale: { readonly value: number | Tensor };

  constructor(options: LowRankLinearOptions) {
    super(options);
    this.loraA = options.loraA;
    this.loraB = options.loraB;
    this.scale = { value: options.scaling };
    const [out, width] = this.weight.shape;
    const rank = this.loraA.shape.at(-2);
    if (
      this.loraA.shape.at(-1) !== width || this.loraB.shape.at(-2) !== out || this.loraB.shape.at(-1) !== rank
    ) {
      throw new TypeError(
        `Cannot adapt a weight ${formatShape(this.weight.shape)} by A ${
          formatShape(this.loraA.shape)
        } and B ` +
          `${formatShape(this.loraB.shape)}: expected [r, in] and [out, r]`,
      );
    }
  }

  /** Rank of the update. */
  get rank(): number {
    return this.loraA.shape.at(-2)!;
  }

  /** s: one number, or f32 [C] with one for each client of a block. */
  override get scaling(): number | Tensor {
    return this.scale.value;
  }

  /** The same layer with another s; it shares every tensor with this one. */
  withScaling(scaling: number | Tensor): LowRankLinear {
    return new LowRankLinear({ ...this, scaling });
  }

  override factors(): LowRankFactors {
    return this;
  }
}
