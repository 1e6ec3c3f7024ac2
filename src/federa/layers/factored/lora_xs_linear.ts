import { formatShape, matmul, type Tensor } from "../../../engine/mod.ts";
import type { FrozenLinear } from "../adapted_linear.ts";
import { FactoredLinear, type LowRankFactors } from "./factored_linear.ts";

/** The parts of a {@linkcode LoraXsLinear}. */
export interface LoraXsLinearOptions extends FrozenLinear {
  /** A [r, in], frozen. */
  readonly loraA: Tensor;
  /** B [out, r], frozen. */
  readonly loraB: Tensor;
  /** R [r, r], or [C, r, r]: what is trained. */
  readonly loraR: Tensor;
  /** s = alpha / r. */
  readonly scaling: number;
  /** R₀·A and B that were taken out of the pretrained weight; none where it was left alone. */
  readonly initial?: LowRankFactors | undefined;
}

/**
 * LoRA-XS (Bałazy et al., arXiv 2405.17604): y = W·x + b + s·B·R·(A·x), of which R alone is trained, r² values whatever the size of the
 * weight. As A and B are common, the mean of clients' R is exactly that of their updates.
 */
export class LoraXsLinear extends FactoredLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  readonly loraR: Tensor;
  override readonly scaling: number;

  /** @throws {TypeError} when the shapes don't agree. */
  constructor({ weight, bias, loraA, loraB, loraR, scaling, initial }: LoraXsLinearOptions) {
    super({ weight, bias, initial });
    this.loraA = loraA;
    this.loraB = loraB;
    this.loraR = loraR;
    this.scaling = scaling;
    const [out, width] = weight.shape;
    const rank = loraA.shape[0];
    const fits = loraA.ndim === 2 && loraB.ndim === 2 && loraA.shape[1] === width && loraB.shape[0] === out &&
      loraB.shape[1] === rank && loraR.shape.at(-1) === rank && loraR.shape.at(-2) === rank;
    if (!fits) {
      throw new TypeError(
        `Cannot adapt a weight ${formatShape(weight.shape)} by A ${formatShape(loraA.shape)}, R ${
          formatShape(loraR.shape)
        } and B ${formatShape(loraB.shape)}: expected [r, in], [r, r] and [out, r]`,
      );
    }
  }

  /** R·A [r, in] or [C, r, in], and B. */
  override factors(): LowRankFactors {
    return { loraA: matmul(this.loraR, this.loraA), loraB: this.loraB };
  }
}
