import source from "../../shaders/linalg/columns.wgsl";
import type { AdapterClass } from "../gpu/device.ts";
import { type BindingAccess, Kernel } from "../gpu/kernel.ts";
import type { Workgroups } from "../gpu/command_stream.ts";
import { checkOperands, launch } from "../ops/launch.ts";
import { formatShape, type Shape } from "../shape.ts";
import { type DType, empty, type Tensor, tensor } from "../tensor.ts";

/**
 * A stack of matrices in the layout of the decompositions: [N, count, stride], each row contiguous and padded with zeros
 * to whole vec4s, so that every sum over a row is a run of vec4 loads.
 */
export type Rows = Tensor;

const kernel = (entry: string, bindings: readonly BindingAccess[]) =>
  new Kernel({ name: `linalg_${entry}`, source, entry, bindings });
const packKernel = kernel("pack", ["read", "read", "write"]);
const identityKernel = kernel("identity", ["write"]);
const pickKernel = kernel("pick", ["read", "read", "write", "read"]);
const unpackKernel = kernel("unpack", ["read", "read", "write"]);
const normsKernel = kernel("norms", ["read", "write"]);
const signsKernel = kernel("signs", ["read", "write"]);

/** Threads a job and jobs a workgroup, for the kernels that sum over lanes: barriers cost a CPU more than they save. */
export const laneConstants: Readonly<Record<AdapterClass, { LANES: number; GROUPS: number }>> = {
  cpu: { LANES: 1, GROUPS: 8 },
  gpu: { LANES: 64, GROUPS: 1 },
};

/**
 * Floats of a row of `length` with its padding. Long rows take an odd number of 64-byte lines: with a power of two, the
 * rows that neighbouring threads read would all map to one set of a CPU's cache.
 */
export function strideOf(length: number): number {
  if (length <= 32) return Math.ceil(length / 4) * 4;
  return (Math.ceil(length / 16) | 1) * 16;
}

/** The extents of a matrix, or of a batch of equal ones. */
export interface MatrixExtents {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  /** The axes before the last two. */
  readonly leading: Shape;
}

/**
 * Reads [m, n] or [N, m, n].
 *
 * @throws {TypeError} for any other shape, or an empty one.
 */
export function matrixExtents(operation: string, a: Tensor, dtype: DType = "f32"): MatrixExtents {
  checkOperands(operation, [a], dtype);
  const [m, n] = a.shape.slice(-2);
  if (m === undefined || n === undefined || a.ndim > 3 || a.size === 0) {
    throw new TypeError(
      `Cannot ${operation} a tensor of shape ${
        formatShape(a.shape)
      }: expected [m, n] or [N, m, n], none of them 0`,
    );
  }
  return { batch: a.ndim === 3 ? a.shape[0]! : 1, m, n, leading: a.shape.slice(0, -2) };
}

/** Workgroups of 64 for `threads` threads on each of `batch` matrices. */
export function grid(threads: number, batch: number): Workgroups {
  const groups = Math.ceil(threads / 64);
  const x = Math.min(groups, 65535);
  return [x, Math.ceil(groups / x), batch];
}

/** Extents of {@linkcode Rows}. */
export function extentsOf(rows: Rows): [batch: number, count: number, stride: number] {
  return rows.shape as [number, number, number];
}

/** Where the elements of a matrix lie in its tensor: `count` rows of `length`. */
export interface Layout {
  readonly count: number;
  readonly length: number;
  /** Elements between rows. */
  readonly rowStep: number;
  /** Elements within a row. */
  readonly step: number;
  /** Elements between matrices; `count`·`length` by default. */
  readonly size?: number;
}

/** Rows from a batch of matrices, each times its entry of `scale` [N]. */
export function pack(
  x: Tensor,
  { count, length, rowStep, step, size = count * length }: Layout,
  scale: Tensor,
): Rows {
  const stride = strideOf(length);
  const batch = scale.size;
  const rows = empty(x.gpu, [batch, count, stride]);
  const params = [count, stride, length, 0, rowStep, step, size, 0];
  launch(packKernel, { tensors: [x, scale, rows], params, workgroups: grid(count * stride, batch) });
  return rows;
}

/** A batch of matrices from rows, each row times its entry of `factor` [N, count]; the inverse of {@linkcode pack}. */
export function unpack(
  rows: Rows,
  { count, length, rowStep, step }: Layout,
  options: { factor: Tensor; shape: Shape },
): Tensor {
  const [batch, , stride] = extentsOf(rows);
  const result = empty(rows.gpu, options.shape);
  const params = [count, stride, length, 0, rowStep, step, count * length, 0];
  launch(unpackKernel, {
    tensors: [rows, options.factor, result],
    params,
    workgroups: grid(count * length, batch),
  });
  return result;
}

/** Zeros, but for ones at `origin` + i of row i. */
export function identityRows(rows: Rows, origin = 0): Rows {
  const [batch, count, stride] = extentsOf(rows);
  launch(identityKernel, {
    tensors: [rows],
    params: [count, stride, 0, origin, 0, 0, 0, 0],
    workgroups: grid(count * stride, batch),
  });
  return rows;
}

/** Options of {@linkcode pick}. */
export interface PickOptions {
  /** Which row goes where, u32 [N, count]. */
  readonly order: Tensor;
  /** Multiplies the rows of the result, [N, count]. */
  readonly factor: Tensor;
  /** First element of the part to take. */
  readonly origin: number;
  /** Elements to take. */
  readonly length: number;
  /** Length of the resulting rows, zeros after the part; `length` by default. */
  readonly outLength?: number;
}

/** Part of some rows, reordered and scaled. */
export function pick(rows: Rows, { order, factor, origin, length, outLength = length }: PickOptions): Rows {
  const [batch, sourceCount, stride] = extentsOf(rows);
  const count = order.shape[1]!;
  const outStride = strideOf(outLength);
  const result = empty(rows.gpu, [batch, count, outStride]);
  const params = [count, stride, length, origin, 0, 0, sourceCount * stride, outStride];
  launch(pickKernel, {
    tensors: [rows, factor, result, order],
    params,
    workgroups: grid(count * outStride, batch),
  });
  return result;
}

/** ‖·‖₂ of the first `length` elements of each row, and of those from `origin` on; [N, count, 2]. */
export function normsOf(rows: Rows, { length, origin }: { length: number; origin: number }): Tensor {
  const [batch, count] = extentsOf(rows);
  const result = empty(rows.gpu, [batch, count, 2]);
  perRow(normsKernel, rows, { length, origin, result });
  return result;
}

/** The sign of the largest element of each row, the first of equals; [N, count] of ±1. */
export function signsOf(rows: Rows, length: number): Tensor {
  const [batch, count] = extentsOf(rows);
  const result = empty(rows.gpu, [batch, count]);
  perRow(signsKernel, rows, { length, origin: 0, result });
  return result;
}

function perRow(
  kernel: Kernel,
  rows: Rows,
  { length, origin, result }: { length: number; origin: number; result: Tensor },
): void {
  const [batch, count, stride] = extentsOf(rows);
  launch(kernel, {
    tensors: [rows, result],
    params: [count, stride, length, origin, 0, 0, 0, 0],
    workgroups: grid(count, batch),
  });
}

/** A tensor of 2^exponent for each matrix. */
export function powersOfTwo(like: Tensor, exponents: readonly number[]): Tensor {
  return tensor(like.gpu, Float32Array.from(exponents, (exponent) => 2 ** exponent));
}
