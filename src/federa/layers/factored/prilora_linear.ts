import {
  abs,
  less,
  type LinearEpilogue,
  max,
  mul,
  record,
  reshape,
  sqrt,
  square,
  sum,
  type Tensor,
  tidy,
  zeros,
} from "../../../engine/mod.ts";
import type { FrozenLinear } from "../adapted_linear.ts";
import { FactoredLinear, type LowRankFactors } from "./factored_linear.ts";

/** The parts of a {@linkcode PriloraLinear}. */
export interface PriloraLinearOptions extends FrozenLinear, LowRankFactors {
  /** Zeros [in], or [C, in]: its gradient is what is observed of the inputs. It must not be moved. */
  readonly inputNorms: Tensor;
  /** s = alpha / r. */
  readonly scaling: number;
}

/**
 * A linear layer with LoRA that observes its inputs (PRILoRA, Benedek & Wolf, arXiv 2401.11316): in place of a gradient `inputNorms`
 * gets ‖x_j‖ of each input feature j, over the rows of x that the loss depends on through this layer: no padding.
 */
export class PriloraLinear extends FactoredLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  readonly inputNorms: Tensor;
  override readonly scaling: number;

  constructor({ weight, bias, loraA, loraB, inputNorms, scaling }: PriloraLinearOptions) {
    super({ weight, bias });
    this.loraA = loraA;
    this.loraB = loraB;
    this.inputNorms = inputNorms;
    this.scaling = scaling;
  }

  override factors(): LowRankFactors {
    return { loraA: this.loraA, loraB: this.loraB };
  }

  override forward(x: Tensor, epilogue: LinearEpilogue = {}): Tensor {
    return observed(super.forward(x, epilogue), x, this.inputNorms);
  }
}

/** The same y, whose gradient tells of which rows of x the norms are. */
function observed(y: Tensor, x: Tensor, norms: Tensor): Tensor {
  const members = norms.ndim === 2 ? norms.shape[0]! : 1;
  return record(y.detach(), [y, norms], [
    (dy) => dy,
    (dy) =>
      tidy(() => {
        const rows = (of: Tensor) => reshape(of.detach(), [members, -1, of.shape.at(-1)!]);
        const matters = less(zeros(dy.gpu, []), max(abs(rows(dy)), { axes: [2], keepDims: true }));
        return reshape(sqrt(sum(mul(square(rows(x)), matters), { axes: [1] })), norms.shape);
      }),
  ], [x]);
}
