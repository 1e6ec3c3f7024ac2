import {
  abs,
  add,
  formatShape,
  keepLargest,
  linear,
  type LinearEpilogue,
  matmul,
  max,
  mul,
  ones,
  reshape,
  sub,
  type Tensor,
  tidy,
  toFloat,
  where,
  zeros,
} from "../../engine/mod.ts";
import { AdaptedLinear, type FrozenLinear } from "./adapted_linear.ts";
import { withEpilogue } from "./epilogue.ts";

/** The trained parts of a {@linkcode PstLinear}, each perhaps with a client axis in front. */
export interface PstParts {
  /** V [r, in] and U [out, r] of the change of the weight. */
  readonly changeA: Tensor;
  readonly changeB: Tensor;
  /** The low-rank part of the importance, [r, in] and [out, r]. */
  readonly scoreA: Tensor;
  readonly scoreB: Tensor;
  /** Its structured part: R [out] of rows and C [in] of columns. */
  readonly rowScore: Tensor;
  readonly columnScore: Tensor;
}

/** The parts of a {@linkcode PstLinear} beside those that are trained. */
export interface PstLinearOptions extends FrozenLinear, PstParts {
  /** β: what the change counts for. */
  readonly scaling: number;
  /** Entries of the weight that stay, 1 to out·in. */
  readonly kept: number;
}

/**
 * PST (Li et al., arXiv 2205.11005): a weight that is pruned while it is tuned by a few parameters, y = ((W + β·U·V) ⊙ M)·x + b. The mask M has
 * ones where the importance |W + β·U·V| + A·B + (R + C) is largest, in as many places as are kept, of which of equal ones the first; R and
 * C stand for a vector of all rows and one of all columns. The gradient goes through the mask as if it were the importance itself.
 *
 * Each client has its own mask, so a dense weight of each layer is held for every client of a block while it trains.
 */
export class PstLinear extends AdaptedLinear {
  readonly changeA: Tensor;
  readonly changeB: Tensor;
  readonly scoreA: Tensor;
  readonly scoreB: Tensor;
  readonly rowScore: Tensor;
  readonly columnScore: Tensor;
  readonly scaling: number;
  readonly kept: number;

  /** @throws {TypeError} when the shapes don't agree. */
  constructor(options: PstLinearOptions) {
    super(options);
    this.changeA = options.changeA;
    this.changeB = options.changeB;
    this.scoreA = options.scoreA;
    this.scoreB = options.scoreB;
    this.rowScore = options.rowScore;
    this.columnScore = options.columnScore;
    this.scaling = options.scaling;
    this.kept = options.kept;
    const [out, width] = this.weight.shape as [number, number];
    for (const [a, b] of [[this.changeA, this.changeB], [this.scoreA, this.scoreB]] as const) {
      if (a.shape.at(-1) !== width || b.shape.at(-2) !== out || a.shape.at(-2) !== b.shape.at(-1)) {
        throw new TypeError(
          `Cannot prune a weight ${formatShape(this.weight.shape)} by factors ${formatShape(a.shape)} and ${
            formatShape(b.shape)
          }: expected [r, in] and [out, r]`,
        );
      }
    }
    if (this.rowScore.shape.at(-1) !== out || this.columnScore.shape.at(-1) !== width) {
      throw new TypeError(
        `Cannot prune a weight ${formatShape(this.weight.shape)} by scores ${
          formatShape(this.rowScore.shape)
        } and ${formatShape(this.columnScore.shape)}: expected [out] and [in]`,
      );
    }
  }

  override forward(x: Tensor, epilogue: LinearEpilogue = {}): Tensor {
    const y = linear(x, { weight: this.effectiveWeight(), bias: this.bias });
    return withEpilogue(y, epilogue);
  }

  /** (W + β·U·V) ⊙ M, [out, in] or [C, out, in]. */
  override effectiveWeight(): Tensor {
    const changed = add(toFloat(this.weight), mul(matmul(this.changeB, this.changeA), this.scaling));
    const rows = reshape(this.rowScore, [...this.rowScore.shape, 1]);
    const columns = reshape(this.columnScore, [
      ...this.columnScore.shape.slice(0, -1),
      1,
      this.columnScore.shape.at(-1)!,
    ]);
    const scores = add(add(abs(changed), matmul(this.scoreB, this.scoreA)), add(rows, columns));
    // The value is M, the gradient that of the scores: what is added to M is 0.
    return mul(changed, add(maskOf(scores, this.kept), sub(scores, scores.detach())));
  }

  /** W′ − W, [out, in]. */
  override delta(): Tensor {
    return sub(this.effectiveWeight(), toFloat(this.weight));
  }
}

/** 1 at the largest scores of each client, 0 elsewhere. */
function maskOf(scores: Tensor, kept: number): Tensor {
  const { gpu, shape } = scores;
  const size = shape.at(-2)! * shape.at(-1)!;
  return tidy(() => {
    const flat = reshape(scores.detach(), [-1, size]);
    // Above 0 whatever the signs, so that magnitudes have the order of the scores.
    const largest = max(abs(flat), { axes: [1], keepDims: true });
    const shifted = add(flat, add(mul(largest, 2), 1e-30));
    const [stays] = keepLargest([shifted], new Array<number>(flat.shape[0]!).fill(kept));
    return reshape(where(stays!, { then: ones(gpu, [1]), otherwise: zeros(gpu, [1]) }), shape);
  });
}
