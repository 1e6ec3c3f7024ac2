import { formatShape, matmul, mul, reshape, type Tensor } from "../../../engine/mod.ts";
import type { FrozenLinear } from "../adapted_linear.ts";
import { FactoredLinear, type LowRankFactors } from "./factored_linear.ts";

/** The parts of a {@linkcode RavanLinear}. */
export interface RavanLinearOptions extends FrozenLinear {
  /** The bases A_i of all heads, one below the other, [h·r, in]; frozen. */
  readonly loraA: Tensor;
  /** The bases B_i of all heads, side by side, [out, h·r]; frozen. */
  readonly loraB: Tensor;
  /** The cores H_i, [h, r, r] or [C, h, r, r]. */
  readonly loraH: Tensor;
  /** The scale s_i of each head, [h] or [C, h]. */
  readonly headScales: Tensor;
  /** s = alpha / r. */
  readonly scaling: number;
}

/**
 * Several heads of low rank (RAVAN, Raje et al., arXiv 2506.05568): ΔW = s·Σ_i s_i·B_i·H_i·A_i between frozen bases, of which the cores H_i
 * and scales s_i are trained: h·r² + h values, for an update of rank h·r.
 */
export class RavanLinear extends FactoredLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  readonly loraH: Tensor;
  readonly headScales: Tensor;
  override readonly scaling: number;

  /** @throws {TypeError} when the shapes don't agree. */
  constructor({ weight, bias, loraA, loraB, loraH, headScales, scaling }: RavanLinearOptions) {
    super({ weight, bias });
    this.loraA = loraA;
    this.loraB = loraB;
    this.loraH = loraH;
    this.headScales = headScales;
    this.scaling = scaling;
    const [out, width] = weight.shape;
    const [heads = 0, rank = 0] = loraH.shape.slice(-3);
    const fits = loraA.shape.join() === `${heads * rank},${width}` &&
      loraB.shape.join() === `${out},${heads * rank}` && loraH.shape.at(-1) === rank &&
      headScales.shape.at(-1) === heads;
    if (!fits) {
      throw new TypeError(
        `Cannot adapt a weight ${formatShape(weight.shape)} by A ${formatShape(loraA.shape)}, H ${
          formatShape(loraH.shape)
        }, scales ${formatShape(headScales.shape)} and B ${
          formatShape(loraB.shape)
        }: expected [h·r, in], [h, r, r], [h] and [out, h·r]`,
      );
    }
  }

  /** s_i·H_i, [h, r, r] or [C, h, r, r]. */
  scaledCores(): Tensor {
    const { loraH, headScales } = this;
    return mul(loraH, reshape(headScales, [...headScales.shape, 1, 1]));
  }

  /** The s_i·H_i·A_i of all heads, [h·r, in] or [C, h·r, in], and the B_i. */
  override factors(): LowRankFactors {
    const { loraA, loraB } = this;
    const cores = this.scaledCores();
    const [heads, rank] = cores.shape.slice(-3) as [number, number];
    const width = loraA.shape[1]!;
    const products = matmul(cores, reshape(loraA, [heads, rank, width]));
    return { loraA: reshape(products, [...cores.shape.slice(0, -3), heads * rank, width]), loraB };
  }
}
