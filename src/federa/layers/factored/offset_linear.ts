import { broadcastTo, concat, neg, type Shape, type Tensor } from "../../../engine/mod.ts";
import type { FrozenLinear } from "../adapted_linear.ts";
import { FactoredLinear, type LowRankFactors } from "./factored_linear.ts";

/** The parts of an {@linkcode OffsetLinear}. */
export interface OffsetLinearOptions extends FrozenLinear, LowRankFactors {
  /** A₀ [r, in] that A started from, frozen. */
  readonly initialA: Tensor;
  /** B₀ [out, r] that B started from, frozen. */
  readonly initialB: Tensor;
  /** s = alpha / r. */
  readonly scaling: number;
}

/**
 * A linear layer whose ΔW = s·(B·A − B₀·A₀) counts from where its factors started, so that any start leaves the pretrained outputs:
 * y = W·x + b + s·B·(A·x) − s·B₀·(A₀·x). It is the same as taking s·B₀·A₀ out of the weight, which here stays the pretrained one, for a
 * start that isn't known when the model is made. As plain LoRA it has rank 2r.
 */
export class OffsetLinear extends FactoredLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  readonly initialA: Tensor;
  readonly initialB: Tensor;
  override readonly scaling: number;

  constructor({ weight, bias, loraA, loraB, initialA, initialB, scaling }: OffsetLinearOptions) {
    super({ weight, bias });
    this.loraA = loraA;
    this.loraB = loraB;
    this.initialA = initialA;
    this.initialB = initialB;
    this.scaling = scaling;
  }

  /** [A; A₀] and [B, −B₀]. */
  override factors(): LowRankFactors {
    const { loraA, loraB, initialA, initialB } = this;
    return {
      loraA: concat([loraA, likeMembers(initialA, loraA.shape)], { axis: -2 }),
      loraB: concat([loraB, likeMembers(neg(initialB), loraB.shape)], { axis: -1 }),
    };
  }
}

/** The same for each member, where there are members. */
function likeMembers(x: Tensor, shape: Shape): Tensor {
  return x.ndim === shape.length ? x : broadcastTo(x, shape);
}
