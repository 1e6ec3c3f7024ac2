import { full, zeros } from "../ops/create.ts";
import { add, less, mul } from "../ops/elementwise.ts";
import { reshape } from "../ops/shape.ts";
import type { Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { basisOf, householder } from "./_householder.ts";
import { exponentsOf, matrixExtents, pack, powersOfTwo, type Rows, strideOf, unpack } from "./_rows.ts";

/** A thin QR decomposition a = q·r, k = min(m, n); the caller disposes its tensors. */
export interface Qr {
  /** Orthonormal columns, [m, k] or [N, m, k]. */
  readonly q: Tensor;
  /** Upper triangular, its diagonal not negative; [k, n] or [N, k, n]. */
  readonly r: Tensor;
}

/**
 * Thin QR decomposition by Householder reflections (Golub & Van Loan 5.2.1), of one matrix or of a batch at once. The
 * columns of q are orthonormal whatever the rank of `a`. At full rank the signs make the decomposition unique.
 * No gradient is recorded.
 *
 * @throws {TypeError} unless `a` is f32 and [m, n] or [N, m, n], none of them 0.
 * @throws {NonFiniteError} when an element is NaN or infinite.
 * @example
 * ```ts
 * import { openGpu, qr, tensor } from "federa/engine";
 *
 * using gpu = await openGpu();
 * const { r } = await qr(tensor(gpu, [3, 1, 4, 2], { shape: [2, 2] }));
 * console.log(await r.data()); // 5, 2.2, 0, 0.4
 * ```
 */
export async function qr(a: Tensor): Promise<Qr> {
  const exponents = await exponentsOf("factor", a);
  return tidy(() => {
    const { batch, m, n, leading } = matrixExtents("factor", a);
    const k = Math.min(m, n);
    const { basis, signs, rows } = factor(a, powersOfTwo(a, exponents.map((exponent) => -exponent)));
    const scales = mul(signs, reshape(powersOfTwo(a, exponents), [batch, 1]));
    return {
      q: columnsOf(basis, { factor: signs, m, shape: [...leading, m, k] }),
      r: unpack(rows, { count: k, length: n, rowStep: n, step: 1 }, {
        factor: scales,
        shape: [...leading, k, n],
      }),
    };
  });
}

/**
 * Orthonormal columns that span those of `a`, [m, n] or [N, m, n]: the q of {@linkcode qr}, but recorded without a wait
 * or a check, for elements of ordinary size.
 */
export function orthonormalize(a: Tensor): Tensor {
  return tidy(() => {
    const { batch, m, n, leading } = matrixExtents("orthonormalise", a);
    const { basis, signs } = factor(a, full(a.gpu, [batch], 1));
    return columnsOf(basis, { factor: signs, m, shape: [...leading, m, Math.min(m, n)] });
  });
}

/** Columns of Q as rows, rows of R, and the signs that make R's diagonal positive. */
function factor(a: Tensor, scale: Tensor): { basis: Rows; rows: Rows; signs: Tensor } {
  const { batch, m, n } = matrixExtents("factor", a);
  const k = Math.min(m, n);
  const columns = pack(a, { count: n, length: m, rowStep: 1, step: n }, scale);
  const rows = zeros(a.gpu, [batch, k, strideOf(n)]);
  const reflectors = householder(columns, { length: m, r: rows });
  const basis = basisOf(reflectors, k);
  const isNegative = less(reflectors.diagonal, zeros(a.gpu, [1]));
  return { basis, rows, signs: add(mul(isNegative, -2), 1) };
}

function columnsOf(basis: Rows, { factor, m, shape }: { factor: Tensor; m: number; shape: Shape }): Tensor {
  const k = basis.shape[1]!;
  return unpack(basis, { count: k, length: m, rowStep: 1, step: k }, { factor, shape });
}
