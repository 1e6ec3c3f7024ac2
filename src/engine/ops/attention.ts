import { isRecording, record } from "../autograd.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { gemm } from "./_gemm.ts";
import { checkOperands } from "./launch.ts";
import { softmaxForward, softmaxGradient } from "./softmax.ts";

/** Options of the attention operations. */
export interface AttentionOptions {
  /** Number of heads; divides the width. */
  readonly heads: number;
  /**
   * Added to the scaled scores: [..., S] with one row of keys for each sequence, or the shape of the scores,
   * [..., heads, T, S]. Finite: −1e30 hides a key.
   */
  readonly mask?: Tensor | undefined;
  /** Multiplies the scores; 1/√(head size) by default. */
  readonly scale?: number;
}

/** Rows of one of Q, K, V inside a tensor that may hold all three side by side. */
interface Rows {
  readonly tensor: Tensor;
  readonly offset: number;
  readonly row: number;
}

interface Dimensions {
  readonly sequences: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headSize: number;
}

/**
 * Multi-head attention softmax(QKᵀ·scale + mask)·V (Vaswani et al., arXiv 1706.03762): q [..., T, H·D], k and
 * v [..., S, H·D] → [..., T, H·D], head h taking columns h·D to (h+1)·D.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  options: AttentionOptions & { readonly v: Tensor },
): Tensor {
  const { v } = options;
  checkOperands("attend over", [q, k, v]);
  const width = q.shape.at(-1)!;
  const sequences = sizeOf(q.shape.slice(0, -2));
  const fits = q.rank >= 2 && k.rank === q.rank && formatShape(k.shape) === formatShape(v.shape) &&
    k.shape.at(-1) === width &&
    formatShape(q.shape.slice(0, -2)) === formatShape(k.shape.slice(0, -2));
  if (!fits) {
    throw new TypeError(
      `Cannot attend with q ${formatShape(q.shape)}, k ${formatShape(k.shape)}, v ${
        formatShape(v.shape)
      }: expected [..., T, D], [..., S, D] twice`,
    );
  }
  const dimensions = {
    sequences,
    queries: q.shape.at(-2)!,
    keys: k.shape.at(-2)!,
    ...headsOf(width, options.heads),
  };
  const rows = (tensor: Tensor): Rows => ({ tensor, offset: 0, row: width });
  const views = { q: rows(q), k: rows(k), v: rows(v) };
  const { output, weights } = attend(views, dimensions, options);
  if (!isRecording(q, k, v)) weights.dispose();
  const gradients = onceFor((dy: Tensor) => {
    const grads = {
      q: rows(empty(q.gpu, q.shape)),
      k: rows(empty(k.gpu, k.shape)),
      v: rows(empty(v.gpu, v.shape)),
    };
    attendGradient(views, { dimensions, options, weights, dy, grads });
    return grads;
  });
  return record(output, [q, k, v], [
    (dy) => gradients(dy).q.tensor,
    (dy) => gradients(dy).k.tensor,
    (dy) => gradients(dy).v.tensor,
  ]);
}

/**
 * Multi-head self-attention on a fused projection qkv [..., T, 3·H·D] whose last axis holds Q, K and V side by side;
 * gives [..., T, H·D]. Nothing is sliced or transposed in memory.
 *
 * @throws {TypeError} when the width isn't 3·heads·D.
 */
export function selfAttention(qkv: Tensor, options: AttentionOptions): Tensor {
  checkOperands("attend over", [qkv]);
  const fused = qkv.shape.at(-1)!;
  if (qkv.rank < 2 || fused % 3 !== 0) {
    throw new TypeError(
      `Cannot attend over a fused projection of shape ${formatShape(qkv.shape)}: expected [..., T, 3·D]`,
    );
  }
  const width = fused / 3;
  const tokens = qkv.shape.at(-2)!;
  const dimensions = {
    sequences: sizeOf(qkv.shape.slice(0, -2)),
    queries: tokens,
    keys: tokens,
    ...headsOf(width, options.heads),
  };
  const rows = (tensor: Tensor) => ({
    q: { tensor, offset: 0, row: fused },
    k: { tensor, offset: width, row: fused },
    v: { tensor, offset: 2 * width, row: fused },
  });
  const { output, weights } = attend(rows(qkv), dimensions, options);
  if (!isRecording(qkv)) weights.dispose();
  return record(output, [qkv], [(dy) => {
    const dqkv = empty(qkv.gpu, qkv.shape);
    attendGradient(rows(qkv), { dimensions, options, weights, dy, grads: rows(dqkv) });
    return dqkv;
  }]);
}

function headsOf(width: number, heads: number): { heads: number; headSize: number } {
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new TypeError(`Cannot split width ${width} into ${heads} heads: expected a divisor`);
  }
  return { heads, headSize: width / heads };
}

function scaleOf(options: AttentionOptions, { headSize }: Dimensions): number {
  return options.scale ?? 1 / Math.sqrt(headSize);
}

/** One head of every sequence, as a batch of [length, headSize] matrices. */
function headView({ tensor, offset, row }: Rows, { length, headSize }: { length: number; headSize: number }) {
  return { tensor, offset, row, outer: length * row, inner: headSize };
}

function attend(views: { q: Rows; k: Rows; v: Rows }, dimensions: Dimensions, options: AttentionOptions) {
  const { sequences, heads, queries, keys, headSize } = dimensions;
  const { gpu, shape } = views.q.tensor;
  const batch = [sequences, heads] as const;
  const scoreView = { row: keys, outer: heads * queries * keys, inner: queries * keys };
  const scores = empty(gpu, [sequences, heads, queries, keys]);
  gemm({
    a: headView(views.q, { length: queries, headSize }),
    b: headView(views.k, { length: keys, headSize }),
    c: { tensor: scores, ...scoreView },
    m: queries,
    n: keys,
    k: headSize,
    batch,
    transposeB: true,
  });
  const { mask } = options;
  if (mask) assertMaskFits(mask, [...shape.slice(0, -2), heads, queries, keys]);
  const weights = softmaxForward(scores, { scale: scaleOf(options, dimensions), ...(mask && { mask }) });
  scores.dispose();
  const output = empty(gpu, [...shape.slice(0, -1), heads * headSize]);
  gemm({
    a: { tensor: weights, ...scoreView },
    b: headView(views.v, { length: keys, headSize }),
    c: headView({ tensor: output, offset: 0, row: heads * headSize }, { length: queries, headSize }),
    m: queries,
    n: headSize,
    k: keys,
    batch,
  });
  return { output, weights };
}

/** A mask of another shape, as [T, S], would be spread over the wrong rows. */
function assertMaskFits(mask: Tensor, scores: Shape): void {
  const perSequence = [...scores.slice(0, -3), scores.at(-1)!];
  if (sameShape(mask.shape, perSequence) || sameShape(mask.shape, scores)) return;
  throw new TypeError(
    `Cannot mask attention scores ${formatShape(scores)} by ${
      formatShape(mask.shape)
    }: expected that shape or ${formatShape(perSequence)}`,
  );
}

interface AttendGradientOptions {
  readonly dimensions: Dimensions;
  readonly options: AttentionOptions;
  /** The softmax of the forward pass. */
  readonly weights: Tensor;
  readonly dy: Tensor;
  /** Where the gradients go. */
  readonly grads: { q: Rows; k: Rows; v: Rows };
}

function attendGradient(views: { q: Rows; k: Rows; v: Rows }, settings: AttendGradientOptions): void {
  const { dimensions, options, weights, dy, grads } = settings;
  const { sequences, heads, queries, keys, headSize } = dimensions;
  const batch = [sequences, heads] as const;
  const scoreView = { row: keys, outer: heads * queries * keys, inner: queries * keys };
  const outputView = headView({ tensor: dy, offset: 0, row: heads * headSize }, {
    length: queries,
    headSize,
  });
  const ofKeys = (rows: Rows) => headView(rows, { length: keys, headSize });
  const ofQueries = (rows: Rows) => headView(rows, { length: queries, headSize });
  gemm({
    a: { tensor: weights, ...scoreView },
    b: outputView,
    c: ofKeys(grads.v),
    m: keys,
    n: headSize,
    k: queries,
    batch,
    transposeA: true,
  });
  const dWeights = empty(dy.gpu, weights.shape);
  gemm({
    a: outputView,
    b: ofKeys(views.v),
    c: { tensor: dWeights, ...scoreView },
    m: queries,
    n: keys,
    k: headSize,
    batch,
    transposeB: true,
  });
  const dScores = softmaxGradient(weights, dWeights, { scale: scaleOf(options, dimensions) });
  gemm({
    a: { tensor: dScores, ...scoreView },
    b: ofKeys(views.k),
    c: ofQueries(grads.q),
    m: queries,
    n: headSize,
    k: keys,
    batch,
  });
  gemm({
    a: { tensor: dScores, ...scoreView },
    b: ofQueries(views.q),
    c: ofKeys(grads.k),
    m: keys,
    n: headSize,
    k: queries,
    batch,
    transposeA: true,
  });
}

/** Computes once for one argument; several gradient rules share the result. */
function onceFor<A, R>(compute: (argument: A) => R): (argument: A) => R {
  let last: { argument: A; result: R } | undefined;
  return (argument) => {
    if (last?.argument !== argument) last = { argument, result: compute(argument) };
    return last!.result;
  };
}
