import { record } from "../../autograd.ts";
import { broadcastShapes, broadcastStrides, collapseAxes, formatShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { gemm, type MatrixView } from "./gemm.ts";
import { checkOperands } from "../launch.ts";
import { scoped } from "../scoped.ts";
import { broadcastTo, reshape } from "../shape.ts";

/** Options of {@linkcode matmul}. */
export interface MatmulOptions {
  /** Takes `a` as stored [..., k, m]. */
  readonly transposeA?: boolean;
  /** Takes `b` as stored [..., n, k]. */
  readonly transposeB?: boolean;
}

/**
 * Matrix product over the last two axes, [..., m, k]·[..., k, n] → [..., m, n]; the other axes broadcast. Nothing is
 * transposed in memory, neither here nor in the gradient.
 *
 * @throws {TypeError} when the inner dimensions or the batches don't agree, or both operands are transposed.
 * @example
 * ```ts no-run
 * const scores = matmul(queries, keys, { transposeB: true }); // [B, T, D]·[B, S, D]ᵀ → [B, T, S]
 * ```
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkOperands("multiply", [a, b]);
  const { transposeA = false, transposeB = false } = options;
  if (transposeA && transposeB) {
    throw new TypeError("Cannot multiply matrices with both operands transposed: swap them instead");
  }
  const [m, k] = lastTwo(a, transposeA);
  const [innerB, n] = lastTwo(b, transposeB);
  if (k !== innerB) {
    const side = (x: Tensor, flag: boolean) => formatShape(x.shape) + (flag ? "ᵀ" : "");
    throw new TypeError(
      `Cannot multiply matrices: inner dimensions must agree, got ${side(a, transposeA)} and ${
        side(b, transposeB)
      }`,
    );
  }
  if (b.ndim === 2 && a.ndim > 2 && !transposeA) {
    return scoped(
      [a, b],
      () => reshape(matmul(reshape(a, [-1, k]), b, options), [...a.shape.slice(0, -1), n]),
    );
  }
  const batchShape = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const rows = { a: a.shape.at(-1)!, b: b.shape.at(-1)! };
  const strides = [a, b].map((x) =>
    broadcastStrides(x.shape.slice(0, -2), batchShape).map((s) => s * sizeOf(x.shape.slice(-2)))
  );
  const collapsed = collapseAxes(batchShape, strides);
  if (collapsed.shape.length > 2) {
    const full = (x: Tensor) => broadcastTo(x, [...batchShape, ...x.shape.slice(-2)]);
    return scoped([a, b], () => matmul(full(a), full(b), options));
  }
  const result = empty(a.gpu, [...batchShape, m, n]);
  const [outer, inner] = collapsed.shape.length === 2
    ? collapsed.shape as [number, number]
    : [1, collapsed.shape[0]!] as const;
  const view = (x: Tensor, row: number, [first, second]: readonly number[]): MatrixView =>
    collapsed.shape.length === 2
      ? { tensor: x, row, outer: first!, inner: second! }
      : { tensor: x, row, inner: first! };
  gemm({
    a: view(a, rows.a, collapsed.strideLists[0]!),
    b: view(b, rows.b, collapsed.strideLists[1]!),
    c: { tensor: result, row: n, outer: inner * m * n, inner: m * n },
    m,
    n,
    k,
    batch: [outer, inner],
    transposeA,
    transposeB,
  });
  return record(result, [a, b], [
    (dy) =>
      transposeA ? matmul(b, dy, { transposeB: !transposeB }) : matmul(dy, b, { transposeB: !transposeB }),
    (dy) => transposeB ? matmul(dy, a, { transposeA: true }) : matmul(a, dy, { transposeA: !transposeA }),
  ]);
}

function lastTwo(x: Tensor, swap: boolean): [number, number] {
  const [rows, columns] = x.shape.slice(-2);
  if (rows === undefined || columns === undefined) {
    throw new TypeError(
      `Cannot multiply a tensor of shape ${formatShape(x.shape)}: expected at least 2 axes`,
    );
  }
  return swap ? [columns, rows] : [rows, columns];
}
