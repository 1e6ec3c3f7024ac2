import { full } from "../ops/create.ts";
import { mul } from "../ops/elementwise.ts";
import { matmul } from "../ops/matmul/matmul.ts";
import { reshape } from "../ops/shape.ts";
import { randomKey, RandomStream } from "../random.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { exponentsOf, type MatrixExtents, matrixExtents, pack, powersOfTwo } from "./_rows.ts";
import { signedVectors } from "./_signed_vectors.ts";
import { decompose, type Decomposition, defaultSweeps, defaultTolerance } from "./_decompose.ts";
import { maxCholeskyColumns, wellConditioned } from "./cholesky_qr.ts";
import type { Svd } from "./jacobi_svd.ts";
import { orthonormalize } from "./qr.ts";

/** Options of {@linkcode randomizedSvd}. */
export interface RandomizedSvdOptions {
  /** Singular triplets wanted, 1 to min(m, n). */
  readonly rank: number;
  /** Further columns of the random sketch, cut where rank + oversampling is over min(m, n); 10 by default. */
  readonly oversampling?: number;
  /**
   * How often the sketch is multiplied by a·aᵀ; 4 by default. On the weights of a sentence encoder with ranks 4 to 32, the
   * error was at most 1.3 % above the best possible with 2, 0.7 % with 3 and 0.4 % with 4.
   */
  readonly powerIterations?: number;
  /** Seed of the sketch; 0 by default. */
  readonly seed?: number;
}

/**
 * The leading `rank` singular triplets, of one matrix or of a batch at once, by a random sketch with power iterations
 * and a new basis at each half step (Halko, Martinsson & Tropp, SIAM Review 53, 2011, algorithms 4.4 and 5.1). With
 * ℓ = rank + oversampling the work is 2·(powerIterations + 1) products of the matrix with ℓ columns and a Jacobi SVD of
 * size ℓ.
 *
 * All matrices of a batch use the same sketch, so a matrix's result doesn't depend on the others. No gradient is
 * recorded.
 *
 * @returns the triplets as {@linkcode jacobiSvd}, with u [m, rank] and vt [rank, n], and the sweeps of the small SVD.
 * @throws {TypeError} unless `a` is f32 and [m, n] or [N, m, n], none of them 0.
 * @throws {RangeError} when `rank` is less than 1 or more than min(m, n), or another option is not a non-negative integer.
 * @throws {NonFiniteError} when an element is NaN or infinite, or a singular value over the range of f32.
 * @example
 * ```ts
 * import { openGpu, randomizedSvd, tensor } from "federa/engine";
 *
 * using gpu = await openGpu();
 * const { s } = await randomizedSvd(tensor(gpu, [3, 0, 0, -4], { shape: [2, 2] }), { rank: 1 });
 * console.log(await s.data()); // 4
 * ```
 */
export async function randomizedSvd(a: Tensor, options: RandomizedSvdOptions): Promise<Svd> {
  const extents = matrixExtents("decompose", a);
  const { rank, oversampling = 10, powerIterations = 4, seed = 0 } = options;
  const smaller = Math.min(extents.m, extents.n);
  if (!Number.isInteger(rank) || rank < 1 || rank > smaller) {
    throw new RangeError(
      `Cannot decompose ${formatShape(a.shape)} to rank ${rank}: expected an integer from 1 to ${smaller}`,
    );
  }
  for (const [name, value] of Object.entries({ oversampling, powerIterations })) {
    if (!Number.isInteger(value) || value < 0) {
      throw new RangeError(`Cannot decompose with ${name} of ${value}: expected a non-negative integer`);
    }
  }
  const width = Math.min(smaller, rank + oversampling);
  const exponents = await exponentsOf("decompose", a);
  const { q, b } = tidy(() => project(a, { ...extents, width, powerIterations, seed, exponents }));
  try {
    const small = await decompose(b, {
      exponents,
      scaled: true,
      maxSweeps: defaultSweeps,
      tolerance: defaultTolerance(width),
    });
    try {
      const leading = small.sigma.filter((_, i) => i % width < rank);
      return {
        ...tidy(() => expand(extents, { q, small, rank })),
        s: tensor(a.gpu, leading, { shape: [...extents.leading, rank] }),
        sweeps: small.sweeps,
        largestCosine: small.largestCosine,
      };
    } finally {
      small.u.dispose();
      small.vt.dispose();
    }
  } finally {
    q.dispose();
    b.dispose();
  }
}

interface Projection extends MatrixExtents {
  readonly width: number;
  readonly powerIterations: number;
  readonly seed: number;
  readonly exponents: readonly number[];
}

/**
 * Of a tall matrix T, which is `a` scaled or its transpose: q [N, max(m, n), ℓ], which spans nearly the leading left singular
 * vectors, and b = Tᵀ·q [N, min(m, n), ℓ]. Between the products a basis of good condition will do; the last is orthonormal
 * whatever the rank.
 */
function project(
  a: Tensor,
  { batch, m, n, width, powerIterations, seed, exponents }: Projection,
): { q: Tensor; b: Tensor } {
  const scale = powersOfTwo(a, exponents.map((exponent) => -exponent));
  const scaled = mul(reshape(a.detach(), [batch, m, n]), reshape(scale, [batch, 1, 1]));
  const transposed = m < n;
  const times = (x: Tensor) => matmul(scaled, x, { transposeA: transposed });
  const transposeTimes = (x: Tensor) => matmul(scaled, x, { transposeA: !transposed });
  const condition = width <= maxCholeskyColumns ? wellConditioned : orthonormalize;
  const random = new RandomStream(randomKey(seed, "randomized svd"));
  const shape = [Math.min(m, n), width];
  const sketch = tensor(a.gpu, Float32Array.from({ length: sizeOf(shape) }, () => random.normal()), {
    shape,
  });
  let y = times(sketch);
  for (let i = 0; i < powerIterations; i++) y = times(condition(transposeTimes(condition(y))));
  const q = orthonormalize(y);
  return { q, b: transposeTimes(q) };
}

/** T ≈ q·bᵀ with b = u′·s·v′ᵀ: its vectors are q·v′ and u′, of which the leading ones are taken and signed. */
function expand(
  { batch, m, n, leading }: MatrixExtents,
  { q, small, rank }: { q: Tensor; small: Decomposition; rank: number },
) {
  const width = q.shape.at(-1)!;
  const ones = full(q.gpu, [batch], 1);
  const columnsOf = (x: Tensor, length: number) =>
    pack(x, { count: rank, length, rowStep: 1, step: width, size: length * width }, ones);
  const long = columnsOf(matmul(q, small.vt, { transposeB: true }), Math.max(m, n));
  const short = columnsOf(small.u, Math.min(m, n));
  const [left, right] = m < n ? [short, long] : [long, short];
  return signedVectors({ left, right }, { m, n, leading });
}
