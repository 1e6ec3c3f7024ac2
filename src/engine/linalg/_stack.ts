import { gemm } from "../ops/matmul/gemm.ts";
import { zeros } from "../ops/create.ts";
import { formatShape, sameShape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { extentsOf, type MatrixExtents, matrixExtents, type Rows, strideOf } from "./_rows.ts";

/** Matrices of one shape, read where they lie: one [m, n], a batch [N, m, n], or N tensors [m, n], f32 or f16. */
export type MatrixStack = Tensor | readonly Tensor[];

/** Neighbours in the memory of one tensor. */
export interface StackPart {
  /** [m, n] or [N, m, n]. */
  readonly tensor: Tensor;
  /** Number of its first matrix in the stack. */
  readonly first: number;
  readonly count: number;
}

/** Extents of a {@linkcode MatrixStack}. */
export interface StackExtents extends MatrixExtents {
  readonly parts: readonly StackPart[];
}

/**
 * Reads the extents of a stack.
 *
 * @throws {TypeError} unless it consists of [m, n] of one shape, or is [N, m, n], none of them 0.
 */
export function stackExtents(operation: string, stack: MatrixStack): StackExtents {
  if (!isList(stack)) {
    const extents = matrixExtents(operation, stack);
    return { ...extents, parts: [{ tensor: stack, first: 0, count: extents.batch }] };
  }
  const shape = stack[0]?.shape ?? [];
  const other = stack.find((each) => !sameShape(each.shape, shape)) ?? stack[0];
  if (other === undefined || other !== stack[0] || shape.length !== 2) {
    throw new TypeError(
      `Cannot ${operation} ${stack.length} tensors, one of shape ${
        formatShape(other?.shape ?? [])
      }: expected at least one, all [m, n] of one shape`,
    );
  }
  const { m, n } = matrixExtents(operation, other, other.dtype === "f16" ? "f16" : "f32");
  return {
    batch: stack.length,
    m,
    n,
    leading: [stack.length],
    parts: stack.map((tensor, first) => ({ tensor, first, count: 1 })),
  };
}

function isList(stack: MatrixStack): stack is readonly Tensor[] {
  return Array.isArray(stack);
}

/**
 * Few vectors times each matrix, x·A [N, ℓ, n] or with `transposed` x·Aᵀ [N, ℓ, m], for x [N, ℓ, stride] or the same
 * vectors [1, ℓ, stride] for all. The vectors are rows, so that products read four neighbours of the stack at once.
 */
export function multiplyRows(x: Rows, { batch, m, n, parts }: StackExtents, transposed: boolean): Rows {
  const [sets, count, stride] = extentsOf(x);
  const [k, length] = transposed ? [n, m] : [m, n];
  const result = emptyRows(x, [batch, count, length]);
  const outStride = extentsOf(result)[2];
  const inner = sets === 1 ? 0 : count * stride;
  for (const { tensor, first, count: members } of parts) {
    gemm({
      a: { tensor: x, offset: first * inner, row: stride, inner, padded: true },
      b: { tensor, row: n, inner: m * n },
      c: { tensor: result, offset: first * count * outStride, row: outStride, inner: count * outStride },
      m: count,
      n: length,
      k,
      batch: [1, members],
      transposeB: transposed,
    });
  }
  return result;
}

/** Combinations of each stack of rows, c·x for c [N, r, at least `count` of x]. */
export function combineRows(c: Rows, x: Rows): Rows {
  const [batch, count, stride] = extentsOf(c);
  const [, inner, length] = extentsOf(x);
  const result = empty(x.gpu, [batch, count, length]);
  gemm({
    a: { tensor: c, row: stride, inner: count * stride },
    b: { tensor: x, row: length, inner: inner * length },
    c: { tensor: result, row: length, inner: count * length },
    m: count,
    n: length,
    k: inner,
    batch: [1, batch],
  });
  return result;
}

/** Rows whose padding is zero, and whose elements are to be written. */
function emptyRows(like: Rows, [batch, count, length]: readonly [number, number, number]): Rows {
  const stride = strideOf(length);
  return (stride === length ? empty : zeros)(like.gpu, [batch, count, stride]);
}
