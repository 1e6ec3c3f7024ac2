import { linear, type LinearEpilogue, matmul, mul, type Tensor } from "../../../engine/mod.ts";
import { formatShape } from "../../../engine/mod.ts";
import { AdaptedLinear, type FrozenLinear } from "../adapted_linear.ts";

/** The two factors of a low-rank update s·B·A. */
export interface LowRankFactors {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
}

/**
 * A linear layer whose ΔW = s·B·A is of low rank, whatever A and B are made of: y = W·x + b + s·B·(A·x). So each kind can be saved,
 * exported and measured as plain LoRA; see {@linkcode plainAdapter}.
 */
export abstract class FactoredLinear extends AdaptedLinear {
  /** A₀ and B₀ that were taken out of the pretrained weight; none where it was left alone. */
  readonly initial: LowRankFactors | undefined;

  constructor({ weight, bias, initial }: FrozenLinear & Partial<Pick<FactoredLinear, "initial">>) {
    super({ weight, bias });
    this.initial = initial;
  }

  /** s: one number, or f32 [C] with one for each client of a block. */
  abstract get scaling(): number | Tensor;

  /** A [r, in] and B [out, r], each with the client axis where what it is made of has it. */
  abstract factors(): LowRankFactors;

  /**
   * s, where it is one number.
   *
   * @throws {TypeError} when each client of a block has its own, as such layers can't be saved or merged as one.
   */
  get sharedScaling(): number {
    const { scaling } = this;
    if (typeof scaling === "number") return scaling;
    throw new TypeError(
      `Cannot save or merge an adapter whose scaling is ${
        formatShape(scaling.shape)
      }, one for each client: ` +
        `expected one number; take a client's factors and give the layer its own s by withScaling()`,
    );
  }

  override forward(x: Tensor, epilogue: LinearEpilogue = {}): Tensor {
    const { weight, bias, scaling } = this;
    const { loraA: a, loraB: b } = this.factors();
    return linear(x, { weight, bias, lowRank: { a, b, scaling }, ...epilogue });
  }

  /** s·B·A, [out, in]. */
  override delta(): Tensor {
    const { loraA, loraB } = this.factors();
    return mul(matmul(loraB, loraA), this.sharedScaling);
  }
}
