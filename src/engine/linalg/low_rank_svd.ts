import { NonFiniteError } from "../errors.ts";
import { full, zeros } from "../ops/create.ts";
import { matmul } from "../ops/matmul/matmul.ts";
import { formatShape } from "../shape.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { disposeAll, tidy } from "../tidy.ts";
import { decompose, type Decomposition, defaultSweeps, defaultTolerance } from "./_decompose.ts";
import { exponentsOf } from "./_exponents.ts";
import { pack } from "./_rows.ts";
import { signedVectors } from "./_signed_vectors.ts";
import type { Svd } from "./jacobi_svd.ts";
import {
  addProducts,
  type LowRankProduct,
  type ProductExtents,
  productExtents,
  reduceProduct,
} from "./low_rank.ts";

/** Options of {@linkcode lowRankSvd}. */
export interface LowRankSvdOptions {
  /** Singular triplets wanted, 1 to min(m, n); min(m, n, k) by default. Those beyond k have the singular value 0. */
  readonly rank?: number;
}

/**
 * The leading singular triplets of a product b·a, or of a batch of them, without forming any: with b = Q·R and aᵀ = P·T it's
 * b·a = Q·(R·Tᵀ)·Pᵀ, and R·Tᵀ is k × k. Where k is over m or n, that side is taken as it is, so the matrix that is decomposed
 * is never larger than k × k or m × n. No gradient is recorded.
 *
 * What the triplets lose beside the best approximation of that rank is within a small multiple of √k·2⁻²⁴·Σⱼ ‖bⱼ‖·‖aⱼ‖, bⱼ and
 * aⱼ being the columns of b and the rows of a. So a difference of nearly equal products should be built from differences of
 * factors.
 *
 * @returns the triplets as `jacobiSvd`, with u [m, rank] and vt [rank, n].
 * @throws {TypeError} unless the factors are f32, [m, k] and [k, n] or [N, m, k] and [N, k, n], none of the extents 0.
 * @throws {RangeError} when `rank` is less than 1 or more than min(m, n).
 * @throws {NonFiniteError} when an element is NaN or infinite, or a term over the range of f32.
 * @example
 * ```ts
 * import { lowRankSvd, openGpu, tensor } from "federa/engine";
 *
 * using gpu = await openGpu();
 * const b = tensor(gpu, [3, 0, 4, 0, 0, 2], { shape: [3, 2] });
 * const a = tensor(gpu, [0, 1, 0, 0, 0, 1], { shape: [2, 3] });
 * const { s } = await lowRankSvd({ b, a });
 * console.log(await s.data()); // 5, 2
 * ```
 */
export async function lowRankSvd(product: LowRankProduct, options: LowRankSvdOptions = {}): Promise<Svd> {
  const extents = productExtents("decompose", product);
  const { batch, m, n, k, leading } = extents;
  const { rank = Math.min(m, n, k) } = options;
  if (!Number.isInteger(rank) || rank < 1 || rank > Math.min(m, n)) {
    throw new RangeError(
      `Cannot decompose a product ${
        formatShape([...leading, m, n])
      } to rank ${rank}: expected an integer from 1 to ${Math.min(m, n)}`,
    );
  }
  if (rank > k) {
    const { gpu } = product.b;
    const padded = tidy(() =>
      addProducts([product, {
        b: zeros(gpu, [...leading, m, rank - k]),
        a: zeros(gpu, [...leading, rank - k, n]),
      }])
    );
    try {
      return await lowRankSvd(padded, { rank });
    } finally {
      disposeAll([padded.b, padded.a]);
    }
  }
  await Promise.all([exponentsOf("decompose", product.b), exponentsOf("decompose", product.a)]);
  const { q, p, core, scale } = reduceProduct(product);
  try {
    const scales = await scale.floats();
    if (!scales.every(Number.isFinite)) throw overRange();
    const width = Math.min(...core.shape.slice(-2));
    const small = await decompose(core, {
      exponents: new Array(batch).fill(0),
      scaled: true,
      maxSweeps: defaultSweeps,
      tolerance: defaultTolerance(width),
    });
    try {
      const values = leadingValues(small.sigma, { rank, width, scales });
      return {
        ...tidy(() => expand(extents, { q, p, small, rank })),
        s: tensor(core.gpu, values, { shape: [...leading, rank] }),
        sweeps: small.sweeps,
        largestCosine: small.largestCosine,
      };
    } finally {
      disposeAll([small.u, small.vt]);
    }
  } finally {
    disposeAll([core, scale]);
    q?.dispose();
    p?.dispose();
  }
}

function leadingValues(
  sigma: Float32Array,
  { rank, width, scales }: { rank: number; width: number; scales: Float32Array },
): Float32Array {
  return Float32Array.from({ length: scales.length * rank }, (_, i) => {
    const matrix = Math.floor(i / rank);
    const value = Math.fround(sigma[matrix * width + i % rank]! * scales[matrix]!);
    if (Number.isFinite(value)) return value;
    throw overRange();
  });
}

function overRange(): NonFiniteError {
  return new NonFiniteError(
    "Cannot decompose a product: one of its terms or singular values is over the range of f32; scale the factors down",
  );
}

/** q·u and p·v, signed so that the largest |element| of each left vector is positive. */
function expand(
  { batch, m, n, leading }: ProductExtents,
  { q, p, small, rank }: { q: Tensor | null; p: Tensor | null; small: Decomposition; rank: number },
): Pick<Svd, "u" | "vt"> {
  const ones = full(small.u.gpu, [batch], 1);
  const width = small.u.shape.at(-1)!;
  const v = small.vt;
  // Both have their vectors as columns: of q·u [N, m, width] and of p·v, or v as it is by rows.
  const left = pack(q ? matmul(q, small.u) : small.u, {
    count: rank,
    length: m,
    rowStep: 1,
    step: width,
    size: m * width,
  }, ones);
  const right = p
    ? pack(matmul(p, v, { transposeB: true }), {
      count: rank,
      length: n,
      rowStep: 1,
      step: width,
      size: n * width,
    }, ones)
    : pack(v, { count: rank, length: n, rowStep: n, step: 1, size: width * n }, ones);
  return signedVectors({ left, right }, { m, n, leading });
}
