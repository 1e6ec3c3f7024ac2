import { formatShape, mul, reshape, type Tensor } from "../../../engine/mod.ts";
import type { FrozenLinear } from "../adapted_linear.ts";
import { FactoredLinear, type LowRankFactors } from "./factored_linear.ts";

/** The parts of a {@linkcode TripletLinear}. */
export interface TripletLinearOptions extends FrozenLinear {
  /** A [r, in], or [C, r, in]. */
  readonly loraA: Tensor;
  /** B [out, r], or [C, out, r]. */
  readonly loraB: Tensor;
  /** E [r], or [C, r]. */
  readonly loraE: Tensor;
  /** s; it stays as r shrinks. */
  readonly scaling: number;
}

/**
 * A linear layer with an update of the form of a truncated SVD (AdaLoRA, arXiv 2303.10512; FedARA, arXiv 2501.14406): ΔW = s·B·diag(E)·A,
 * all of which are trained. Each triplet of a column of B, an entry of E and a row of A can be left out by itself.
 */
export class TripletLinear extends FactoredLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  readonly loraE: Tensor;
  override readonly scaling: number;

  /** @throws {TypeError} when the shapes don't agree. */
  constructor({ weight, bias, loraA, loraB, loraE, scaling }: TripletLinearOptions) {
    super({ weight, bias });
    this.loraA = loraA;
    this.loraB = loraB;
    this.loraE = loraE;
    this.scaling = scaling;
    const [out, width] = weight.shape;
    const rank = loraE.shape.at(-1);
    if (
      loraA.shape.at(-1) !== width || loraA.shape.at(-2) !== rank || loraB.shape.at(-1) !== rank ||
      loraB.shape.at(-2) !== out
    ) {
      throw new TypeError(
        `Cannot adapt a weight ${formatShape(weight.shape)} by A ${formatShape(loraA.shape)}, E ${
          formatShape(loraE.shape)
        } and B ${formatShape(loraB.shape)}: expected [r, in], [r] and [out, r]`,
      );
    }
  }

  /** diag(E)·A, and B. */
  override factors(): LowRankFactors {
    const { loraA, loraB, loraE } = this;
    return { loraA: mul(loraA, reshape(loraE, [...loraE.shape, 1])), loraB };
  }
}
