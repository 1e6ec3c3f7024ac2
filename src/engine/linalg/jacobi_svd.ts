import { type Tensor, tensor } from "../tensor.ts";
import { decompose, defaultSweeps, defaultTolerance } from "./_decompose.ts";
import { exponentsOf } from "./_exponents.ts";
import { matrixExtents } from "./_rows.ts";

/** Options of {@linkcode jacobiSvd}. */
export interface JacobiSvdOptions {
  /** Most sweeps over all pairs of columns; 30 by default. */
  readonly maxSweeps?: number;
  /** Largest |cosine| between two columns that counts as orthogonal; √max(k, 16)·2⁻²³ by default, k = min(m, n). */
  readonly tolerance?: number;
}

/** A thin singular value decomposition a = u·diag(s)·vt, k = min(m, n); the caller disposes its tensors. */
export interface Svd {
  /** Left singular vectors, [m, k] or [N, m, k]; the largest |element| of each is positive. */
  readonly u: Tensor;
  /** Singular values in descending order, [k] or [N, k]. */
  readonly s: Tensor;
  /** Right singular vectors as rows, [k, n] or [N, k, n]. */
  readonly vt: Tensor;
  /** Sweeps until the last matrix converged, including the one that found nothing to rotate. */
  readonly sweeps: number;
  /** The largest |cosine| that remains between two columns of any matrix. */
  readonly largestCosine: number;
}

/**
 * Thin singular value decomposition by one-sided Jacobi rotations, of one matrix or of a batch at once. No gradient is
 * recorded.
 *
 * The matrix (transposed where m < n) is scaled by a power of two and factored by a QR with column pivoting; the
 * rotations then work on the rows of R (Drmač & Veselić, SIAM J. Matrix Anal. Appl. 29, 2008). A sweep is a tournament of
 * blocks of two rows, all of them paired off in one launch a round. The iteration ends when a whole sweep meets no
 * |cosine| above the tolerance. That is relative to the rows' own lengths, so small singular values are found as exactly
 * as the columns of `a` allow.
 *
 * u and vt are orthonormal for every rank. The left vectors (right ones where m < n) are products of rotations and
 * reflections. Where a singular value is below 2⁻⁵⁰ of the largest element, it's reported as 0 and the opposite vectors are
 * completed by the Householder basis of the others.
 *
 * @throws {TypeError} unless `a` is f32 and [m, n] or [N, m, n], none of them 0.
 * @throws {NonFiniteError} when an element is NaN or infinite, or a singular value over the range of f32.
 * @throws {ConvergenceError} when `maxSweeps` don't suffice.
 * @example
 * ```ts
 * import { jacobiSvd, openGpu, tensor } from "federa/engine";
 *
 * using gpu = await openGpu();
 * const { s } = await jacobiSvd(tensor(gpu, [3, 0, 0, -4], { shape: [2, 2] }));
 * console.log(await s.data()); // 4, 3
 * ```
 */
export async function jacobiSvd(a: Tensor, options: JacobiSvdOptions = {}): Promise<Svd> {
  const extents = matrixExtents("decompose", a);
  const n = Math.min(extents.m, extents.n);
  const { maxSweeps = defaultSweeps, tolerance = defaultTolerance(n) } = options;
  if (!Number.isInteger(maxSweeps) || maxSweeps < 1) {
    throw new RangeError(`Cannot decompose in ${maxSweeps} sweeps: expected a positive integer`);
  }
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new RangeError(
      `Cannot decompose to a tolerance of ${tolerance}: expected a number between 0 and 1`,
    );
  }
  const exponents = await exponentsOf("decompose", a);
  const { sigma, ...found } = await decompose(a, { exponents, maxSweeps, tolerance });
  return { ...found, s: tensor(a.gpu, sigma, { shape: [...extents.leading, n] }) };
}
