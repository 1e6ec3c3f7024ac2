import {
  add,
  div,
  formatShape,
  linear,
  type LinearEpilogue,
  matmul,
  mul,
  permute,
  reshape,
  sqrt,
  sub,
  sum,
  sumOfSquares,
  type Tensor,
  tidy,
  toFloat,
} from "../../engine/mod.ts";
import { AdaptedLinear } from "./adapted_linear.ts";
import { withEpilogue } from "./epilogue.ts";
import { LowRankLinear, type LowRankLinearOptions } from "./factored/low_rank_linear.ts";

/** The parts of a {@linkcode DoraLinear}. */
export interface DoraLinearOptions extends LowRankLinearOptions {
  /** m [out], or [C, out]: lengths of the weight's rows. */
  readonly magnitude: Tensor;
}

/**
 * DoRA (Liu et al., arXiv 2402.09353): y = W′·x + b with W′ = m·V/‖V‖ row by row and V = W + s·B·A, of which A, B and m are trained. The rows
 * are those of our [out, in] weight, one for each output, as in PEFT. In the backward pass ‖V‖ counts as a constant (section 4.3).
 *
 * The change isn't of low rank. In a federation m averages linearly, and A and B as those of LoRA do.
 *
 * @example
 * ```ts no-run
 * const layer = await DoraLinear.of(new LowRankLinear({ ...factors, bias, scaling }), { name: "query" });
 * ```
 */
export class DoraLinear extends AdaptedLinear {
  readonly loraA: Tensor;
  readonly loraB: Tensor;
  readonly magnitude: Tensor;
  readonly initial: LowRankLinear["initial"];
  readonly scale: LowRankLinear["scale"];

  /** @throws {TypeError} when the shapes don't agree. */
  constructor({ magnitude, ...options }: DoraLinearOptions) {
    super(options);
    const { weight, loraA, loraB, initial, scale } = new LowRankLinear(options);
    this.loraA = loraA;
    this.loraB = loraB;
    this.magnitude = magnitude;
    this.initial = initial;
    this.scale = scale;
    if (magnitude.shape.at(-1) !== weight.shape[0] || magnitude.ndim !== loraA.ndim - 1) {
      throw new TypeError(
        `Cannot give the rows of a weight ${formatShape(weight.shape)} the lengths ${
          formatShape(magnitude.shape)
        }: expected [out], with the client axis where A has it`,
      );
    }
  }

  /**
   * DoRA's start on a layer: m is the length of each row, so that the function stays as it is.
   *
   * @param options.name of the layer, for messages.
   * @throws {RangeError} when a row's length is 0, NaN or infinite: it has no direction.
   */
  static async of(layer: LowRankLinear, { name }: { readonly name: string }): Promise<DoraLinear> {
    const magnitude = tidy(() => rowLengths(layer));
    const lengths = await magnitude.floats();
    const bad = lengths.findIndex((length) => !(length > 0 && Number.isFinite(length)));
    if (bad >= 0) {
      magnitude.dispose();
      throw new RangeError(
        `Cannot train ${name} as DoRA: row ${bad} of its weight has the length ${
          lengths[bad]
        }, and so no direction`,
      );
    }
    const { weight, bias, loraA, loraB, scaling, initial } = layer;
    return new DoraLinear({ weight, bias, loraA, loraB, scaling, initial, magnitude });
  }

  /** V = W + s·B·A as a layer, of the same tensors. */
  get direction(): LowRankLinear {
    const { weight, bias, loraA, loraB, initial } = this;
    return new LowRankLinear({ weight, bias, loraA, loraB, initial, scaling: this.scale.value });
  }

  override forward(x: Tensor, epilogue: LinearEpilogue = {}): Tensor {
    const { weight, bias, loraA: a, loraB: b, magnitude, direction } = this;
    const z = linear(x, { weight, lowRank: { a, b, scaling: direction.scaling } });
    const scaled = mul(z, perRow(div(magnitude, tidy(() => rowLengths(direction))), z));
    const y = bias ? add(scaled, perRow(bias, z)) : scaled;
    return withEpilogue(y, epilogue);
  }

  /** m·V/‖V‖, [out, in]. */
  override effectiveWeight(): Tensor {
    const v = this.direction.effectiveWeight();
    const lengths = sqrt(sumOfSquares(v, { axes: [-1], keepDims: true }));
    return mul(v, div(reshape(this.magnitude, lengths.shape), lengths));
  }

  /** W′ − W, [out, in]. */
  override delta(): Tensor {
    return sub(this.effectiveWeight(), toFloat(this.weight));
  }
}

/**
 * ‖V‖ of each row of V = W + s·B·A, [out] or [C, out], without forming V: ‖w + s·A ᵀb‖² = ‖w‖² + s·b·(2·A·w + s·A·Aᵀ·b) for a row w of W
 * and b of B. No gradient is recorded. Rounding leaves about 2⁻²⁴·√in·κ² of a length, κ = (‖w‖ + ‖s·Aᵀ·b‖)/‖V‖: 1 to √2 where a start took
 * triplets out of W, as the two parts are orthogonal; only a row that its update cancels all but for a hundredth loses half the digits,
 * and one that it cancels wholly is no number, which training refuses.
 */
function rowLengths({ weight, loraA, loraB, scaling }: LowRankLinear): Tensor {
  const [a, b] = [loraA.detach(), loraB.detach()];
  const byClient = typeof scaling === "number" ? scaling : reshape(scaling, [-1, 1, 1]);
  const lastTwo = (x: Tensor) => permute(x, x.ndim === 3 ? [0, 2, 1] : [1, 0]);
  // A·Wᵀ is [r, out] or [C, r, out]: a frozen weight is read where it lies, in any precision.
  const products = lastTwo(linear(a, { weight }));
  const gram = matmul(a, lastTwo(a));
  const inner = add(mul(products, 2), mul(matmul(b, gram), byClient));
  const added = sum(mul(mul(b, inner), byClient), { axes: [-1] });
  return sqrt(add(sumOfSquares(toFloat(weight), { axes: [-1] }), added));
}

/** [out] or [C, out] as a factor of the rows of y [..., out] or [C, ..., out]. */
function perRow(x: Tensor, y: Tensor): Tensor {
  if (x.ndim === 1) return x;
  const [members, out] = x.shape as [number, number];
  return reshape(x, [members, ...new Array<number>(y.ndim - 2).fill(1), out]);
}
