import { isRecording, record } from "../../autograd.ts";
import { formatShape, sameShape, sizeOf } from "../../shape.ts";
import { empty, isStorageOnly, type Tensor } from "../../tensor.ts";
import { type Activation, gemm, type MatrixView, storedRows } from "./gemm.ts";
import { mul } from "../elementwise.ts";
import { checkOperands } from "../launch.ts";
import { sum } from "../reduction/reduce.ts";
import { reshape } from "../shape.ts";

export type { Activation };

/** A product of two thin matrices that is added to a weight without being formed. */
export interface LowRankTerm {
  /** [r, in], or [C, r, in]. */
  readonly a: Tensor;
  /** [out, r], or [C, out, r]. */
  readonly b: Tensor;
  /** s: one number, or f32 [C] with one for each member. Not trained. */
  readonly scaling: number | Tensor;
}

/** What {@linkcode linear} does to its result before that is stored. */
export interface LinearEpilogue {
  /** Applied to the result; gelu is the exact one, x·Φ(x). */
  readonly activation?: Activation | undefined;
  /** Added to the result, whose shape it has; not together with an activation. */
  readonly residual?: Tensor | undefined;
}

/** Parameters of {@linkcode linear}. */
export interface LinearOptions extends LinearEpilogue {
  /** [out, in], or [C, out, in] with one matrix for each entry of the first axis of x. A shared one may be in any `Precision`. */
  readonly weight: Tensor;
  /** [out] or [C, out]; none by default. */
  readonly bias?: Tensor | undefined;
  /** Adds s·B·A to the weight. Weight, A and B can each be shared or a member's own, in any combination. */
  readonly lowRank?: LowRankTerm | undefined;
}

/**
 * y = act(x·(W + s·B·A)ᵀ + b) + residual over the last axis, in one kernel except for the thin x·Aᵀ. A parameter with a
 * leading member axis C applies member by member to x [C, ..., in]; one without is shared. If all are shared, the rows of
 * all members form one matrix.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function linear(x: Tensor, options: LinearOptions): Tensor {
  const { weight, bias, lowRank, activation, residual } = options;
  const extent = new Extent(x, options);
  const { m, n, k, r, members } = extent;
  const operands = { x, weight, bias, a: lowRank?.a, b: lowRank?.b, residual };
  const roles = (Object.keys(operands) as (keyof typeof operands)[]).filter((role) => operands[role]);
  const inputs = roles.map((role) => operands[role]!);
  const y = empty(x.gpu, [...x.shape.slice(0, -1), n]);
  const inner = lowRank && product(extent, { a: x, b: lowRank.a, width: [k, r], alpha: lowRank.scaling });
  const slope = activation && isRecording(...inputs) ? empty(x.gpu, y.shape) : undefined;
  gemm({
    a: rows(x, m, k),
    b: matrix(weight, n, k),
    c: rows(y, m, n),
    m,
    n,
    k,
    batch: [members, 1],
    transposeB: true,
    ...(inner && { second: { a: rows(inner, m, r), b: matrix(lowRank!.b, n, r), k: r } }),
    ...(bias && { bias: { tensor: bias, outer: bias.ndim === 2 ? n : 0 } }),
    activation,
    slope,
    residual,
  });
  if (!isRecording(...inputs)) inner?.dispose();
  const reads = [weight, lowRank?.a, lowRank?.b, ...weight.tracked || lowRank?.a.tracked ? [x] : []]
    .filter((each) => each !== undefined);
  return record(y, inputs, gradients, reads);

  function gradients(dy: Tensor, wanted: readonly number[], into: readonly (Tensor | undefined)[]): Tensor[] {
    const wants = wanted.map((i) => roles[i]!);
    const dz = slope && wants.some((role) => role !== "residual") ? mul(dy, slope) : dy;
    const thin = lowRank && wants.some((role) => role === "x" || role === "a")
      ? product(extent, { a: dz, b: lowRank.b, width: [n, r], alpha: lowRank.scaling, transposeB: false })
      : undefined;
    return wants.map((role, i) => {
      const target = into[i];
      switch (role) {
        case "x":
          return inputGradient(extent, { dz, thin, target, ...options });
        case "weight":
          return weightGradient(extent, { dy: dz, x, target, like: weight });
        case "bias":
          return reshape(
            sum(reshape(dz, [bias!.ndim === 2 ? members : 1, -1, n]), { axes: [1] }),
            bias!.shape,
          );
        case "a":
          return weightGradient(extent, { dy: thin!, x, target, like: lowRank!.a });
        case "b":
          return weightGradient(extent, { dy: dz, x: inner!, target, like: lowRank!.b });
        case "residual":
          return dy;
      }
    });
  }
}

/** The checked sizes of a linear layer and its input. */
class Extent {
  readonly members: number;
  /** Rows of x of one member. */
  readonly m: number;
  /** Columns of the result. */
  readonly n: number;
  /** Columns of x. */
  readonly k: number;
  /** Rank of the thin term; 0 without one. */
  readonly r: number;

  constructor(x: Tensor, { weight, bias, lowRank, activation, residual }: LinearOptions) {
    const scaling = typeof lowRank?.scaling === "number" ? undefined : lowRank?.scaling;
    const floats = [x, bias, lowRank?.a, lowRank?.b, scaling, residual].filter((each) => each !== undefined);
    checkOperands("apply a linear layer to", isStorageOnly(weight.dtype) ? floats : [...floats, weight]);
    const [n = 0, k = 0] = weight.shape.slice(-2);
    const matrices = [weight, ...(lowRank ? [lowRank.a, lowRank.b] : [])];
    const own = [
      ...matrices.filter(({ ndim }) => ndim === 3),
      ...(bias?.ndim === 2 ? [bias] : []),
      ...(scaling ? [scaling] : []),
    ];
    const members = own[0]?.shape[0] ?? 1;
    const r = lowRank?.a.shape.at(-2) ?? 0;
    const fits = x.ndim >= 1 && x.shape.at(-1) === k &&
      (own.length === 0 || (x.ndim > 1 && x.shape[0] === members)) &&
      own.every((each) => each.shape[0] === members) &&
      matrices.every(({ ndim }) => ndim === 2 || ndim === 3) &&
      (weight.dtype !== "int8" || weight.ndim === 2) &&
      (scaling === undefined || scaling.ndim === 1) &&
      (bias === undefined || (bias.shape.at(-1) === n && (bias.ndim === 1 || bias.ndim === 2))) &&
      (lowRank === undefined ||
        (sameShape(lowRank.a.shape.slice(-2), [r, k]) && sameShape(lowRank.b.shape.slice(-2), [n, r])));
    if (!fits) {
      const parts = Object.entries({ bias, A: lowRank?.a, B: lowRank?.b, scaling })
        .flatMap(([name, each]) => each ? [` and ${name} ${formatShape(each.shape)}`] : []);
      throw new TypeError(
        `Cannot apply a linear layer of weight ${formatShape(weight.shape)}${parts.join("")} to ` +
          `${
            formatShape(x.shape)
          }: expected x [..., in], weight [out, in] or [C, out, in], bias [out] or [C, out]${
            lowRank ? ", A [r, in] or [C, r, in], B [out, r] or [C, out, r], scaling a number or [C]" : ""
          }`,
      );
    }
    if (scaling?.tracked) {
      throw new TypeError("Cannot train the scaling of a low-rank term: detach it, and train A or B instead");
    }
    const shape = [...x.shape.slice(0, -1), n];
    if (residual && (activation || !sameShape(residual.shape, shape))) {
      throw new TypeError(
        `Cannot add a residual ${formatShape(residual.shape)} to the result ${formatShape(shape)}${
          activation ? ` of ${activation}` : ""
        } of a linear layer: expected that shape and no activation`,
      );
    }
    this.members = members;
    this.n = n;
    this.k = k;
    this.r = r;
    this.m = sizeOf(x.shape.slice(0, -1)) / members;
  }
}

/** The m rows of each member in an activation. */
function rows(tensor: Tensor, m: number, width: number): MatrixView {
  return { tensor, row: width, outer: m * width };
}

/** A weight, one for all members or one each. */
function matrix(tensor: Tensor, height: number, width: number): MatrixView {
  return { ...storedRows(tensor, width), outer: tensor.ndim === 3 ? height * width : 0 };
}

interface ProductOptions {
  readonly a: Tensor;
  readonly b: Tensor;
  /** Columns of a, and of the result. */
  readonly width: readonly [number, number];
  readonly alpha: number | Tensor;
  readonly transposeB?: boolean;
}

/** alpha·a·op(b) for rows a and a weight b that is stored as the layer has it. */
function product({ members, m }: Extent, options: ProductOptions): Tensor {
  const { a, b, width: [k, n], alpha, transposeB = true } = options;
  const c = empty(a.gpu, [...a.shape.slice(0, -1), n]);
  const isShared = b.ndim === 2 && typeof alpha === "number";
  const height = isShared ? m * members : m;
  gemm({
    a: rows(a, height, k),
    b: transposeB ? matrix(b, n, k) : matrix(b, k, n),
    c: rows(c, height, n),
    m: height,
    n,
    k,
    batch: [isShared ? 1 : members, 1],
    transposeB,
    alpha,
  });
  return c;
}

/** dz·(W + s·B·A), of which `thin` is s·dz·B. */
function inputGradient(
  { members, m, n, k, r }: Extent,
  options: LinearOptions & { dz: Tensor; thin: Tensor | undefined; target: Tensor | undefined },
): Tensor {
  const { dz, thin, target, weight, lowRank } = options;
  const dx = target ?? empty(dz.gpu, [...dz.shape.slice(0, -1), k]);
  const isShared = weight.ndim === 2 && (lowRank === undefined || lowRank.a.ndim === 2);
  const height = isShared ? m * members : m;
  gemm({
    a: rows(dz, height, n),
    b: matrix(weight, n, k),
    c: rows(dx, height, k),
    m: height,
    n: k,
    k: n,
    batch: [isShared ? 1 : members, 1],
    ...(thin && { second: { a: rows(thin, height, r), b: matrix(lowRank!.a, r, k), k: r } }),
  });
  return dx;
}

interface WeightGradientOptions {
  readonly dy: Tensor;
  readonly x: Tensor;
  /** The weight. */
  readonly like: Tensor;
  readonly target: Tensor | undefined;
}

/** dyᵀ·x, summed over the rows of a member where each has its own weight, else over all. */
function weightGradient({ members, m }: Extent, { dy, x, like, target }: WeightGradientOptions): Tensor {
  const [height, width] = like.shape.slice(-2) as [number, number];
  const own = like.ndim === 3;
  const count = own ? m : m * members;
  const dw = target ?? empty(x.gpu, like.shape);
  gemm({
    a: rows(dy, count, height),
    b: rows(x, count, width),
    c: { tensor: dw, row: width, outer: height * width },
    m: height,
    n: width,
    k: count,
    batch: [own ? members : 1, 1],
    transposeA: true,
  });
  return dw;
}
