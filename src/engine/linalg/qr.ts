import { full, zeros } from "../ops/create.ts";
import { add, less, mul } from "../ops/elementwise.ts";
import { reshape } from "../ops/shape.ts";
import type { Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { exponentsOf } from "./_exponents.ts";
import { basisOf, householder, type Reflectors } from "./_householder.ts";
import { matrixExtents, pack, powersOfTwo, type Rows, strideOf, unpack } from "./_rows.ts";

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
    const factored = factor(a, powersOfTwo(a, exponents.map((exponent) => -exponent)));
    const scale = reshape(powersOfTwo(a, exponents), [exponents.length, 1]);
    return { q: orthonormalFactor(a, factored), r: triangularFactor(a, factored, scale) };
  });
}

/**
 * Orthonormal columns that span those of `a`, [m, n] or [N, m, n]: the q of {@linkcode qr}, but recorded without a wait
 * or a check, for elements of ordinary size.
 */
export function orthonormalize(a: Tensor): Tensor {
  return tidy(() => orthonormalFactor(a, factor(a)));
}

/** The r of {@linkcode qr} alone, recorded without a wait or a check, for elements of ordinary size. */
export function triangularize(a: Tensor): Tensor {
  return tidy(() => triangularFactor(a, factor(a)));
}

/** As {@linkcode qr}, but recorded without a wait or a check, for elements of ordinary size. */
export function ordinaryQr(a: Tensor): Qr {
  return tidy(() => {
    const factored = factor(a);
    return { q: orthonormalFactor(a, factored), r: triangularFactor(a, factored) };
  });
}

interface Factored {
  readonly reflectors: Reflectors;
  /** Rows of R. */
  readonly rows: Rows;
  /** What makes R's diagonal positive, [N, k]. */
  readonly signs: Tensor;
}

function factor(a: Tensor, scale?: Tensor): Factored {
  const { batch, m, n } = matrixExtents("factor", a);
  const layout = { count: n, length: m, rowStep: 1, step: n };
  const rows = zeros(a.gpu, [batch, Math.min(m, n), strideOf(n)]);
  const reflectors = householder(pack(a, layout, scale ?? full(a.gpu, [batch], 1)), { length: m, r: rows });
  const isNegative = less(reflectors.diagonal, zeros(a.gpu, [1]));
  return { reflectors, rows, signs: add(mul(isNegative, -2), 1) };
}

function orthonormalFactor(a: Tensor, { reflectors, signs }: Factored): Tensor {
  const { m, n, leading } = matrixExtents("factor", a);
  const k = Math.min(m, n);
  const layout = { count: k, length: m, rowStep: 1, step: k };
  return unpack(basisOf(reflectors, k), layout, { factor: signs, shape: [...leading, m, k] });
}

/** R, times `scale` [N, 1]. */
function triangularFactor(a: Tensor, { rows, signs }: Factored, scale?: Tensor): Tensor {
  const { m, n, leading } = matrixExtents("factor", a);
  const k = Math.min(m, n);
  return unpack(rows, { count: k, length: n, rowStep: n, step: 1 }, {
    factor: scale ? mul(signs, scale) : signs,
    shape: [...leading, k, n],
  });
}
