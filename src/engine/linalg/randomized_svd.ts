import { mul } from "../ops/elementwise.ts";
import { toFloat } from "../ops/compression/precision.ts";
import { zeros } from "../ops/create.ts";
import { reshape } from "../ops/shape.ts";
import type { Gpu } from "../gpu/device.ts";
import { randomKey, RandomStream } from "../random.ts";
import { formatShape } from "../shape.ts";
import { tensor } from "../tensor.ts";
import { disposeAll, tidy } from "../tidy.ts";
import { decomposeColumns, defaultSweeps, defaultTolerance, type VectorsOfColumns } from "./_decompose.ts";
import { exponentsOf } from "./_exponents.ts";
import { basisOf, householder } from "./_householder.ts";
import { powersOfTwo, type Rows, strideOf } from "./_rows.ts";
import { signedVectors } from "./_signed_vectors.ts";
import { combineRows, type MatrixStack, multiplyRows, type StackExtents, stackExtents } from "./_stack.ts";
import { maxCholeskyRows, wellConditioned } from "./cholesky_qr.ts";
import type { Svd } from "./jacobi_svd.ts";

/** Options of {@linkcode randomizedSvd}. */
export interface RandomizedSvdOptions {
  /** Singular triplets wanted, 1 to min(m, n). */
  readonly rank: number;
  /**
   * Further rows of the random sketch, cut where rank + oversampling is over min(m, n); at least 8 by default, so that there
   * is a multiple of 8 of them.
   */
  readonly oversampling?: number;
  /** How often the sketch is multiplied by aᵀ·a; by default 2 up to rank 8, 3 up to 32 and 4 above. */
  readonly powerIterations?: number;
  /** Seed of the sketch; 0 by default. */
  readonly seed?: number;
}

/** Rows of the sketch come in eights: products compute as many at once. */
function defaultOversampling(rank: number): number {
  return 8 * Math.ceil((rank + 8) / 8) - rank;
}

function defaultIterations(rank: number): number {
  return rank <= 8 ? 2 : rank <= 32 ? 3 : 4;
}

/**
 * The leading `rank` singular triplets of matrices of one shape, by a random sketch with power iterations and a new basis at each
 * half step (Halko, Martinsson & Tropp, SIAM Review 53, 2011, algorithms 4.4 and 5.1). With ℓ = rank + oversampling and q power
 * iterations the work is 2·(q + 1) products of each matrix with ℓ vectors and a Jacobi SVD of size ℓ. Several tensors are read
 * where they lie.
 *
 * In the mean over sketches ‖a − u·s·vt‖₂ ≤ σ + [(1 + √(rank/(oversampling − 1)))·σ^(2q+1) +
 * e·√ℓ/oversampling·(Σ_{j>rank} σⱼ^(4q+2))^½]^(1/(2q+1)) with σ = σ_{rank+1} (corollary 10.10 and theorem 9.3). Weights whose
 * singular values fall slowly do far better in the Frobenius norm, which federated starts go by: with the default options
 * it was at most 1 % over the best of that rank on every matrix of MiniLM-L6, Universal Sentence Encoder lite and BERT-base,
 * with ranks 4 to 32.
 *
 * All matrices of a batch use the same sketch, so a matrix's result doesn't depend on the others. No gradient is
 * recorded.
 *
 * @returns the triplets as {@linkcode jacobiSvd}, with u [m, rank] and vt [rank, n], and the sweeps of the small SVD.
 * @param a f32 [m, n] or [N, m, n], or N tensors [m, n] in f32 or f16, which give what [N, m, n] gives.
 * @throws {TypeError} for anything else, or an extent of 0.
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
export async function randomizedSvd(a: MatrixStack, options: RandomizedSvdOptions): Promise<Svd> {
  const stack = stackExtents("decompose", a);
  const { m, n, leading } = stack;
  const smaller = Math.min(m, n);
  const { rank } = options;
  if (!Number.isInteger(rank) || rank < 1 || rank > smaller) {
    throw new RangeError(
      `Cannot decompose ${
        formatShape([...leading, m, n])
      } to rank ${rank}: expected an integer from 1 to ${smaller}`,
    );
  }
  const { oversampling = defaultOversampling(rank), powerIterations = defaultIterations(rank), seed = 0 } =
    options;
  for (const [name, value] of Object.entries({ oversampling, powerIterations })) {
    if (!Number.isInteger(value) || value < 0) {
      throw new RangeError(`Cannot decompose with ${name} of ${value}: expected a non-negative integer`);
    }
  }
  const width = Math.min(smaller, rank + oversampling);
  const exponents = await exponentsOf("decompose", a);
  const { q, b } = tidy(() => project(stack, { width, powerIterations, seed, exponents }));
  try {
    const small = await decomposeColumns(b, {
      length: smaller,
      rank,
      exponents,
      maxSweeps: defaultSweeps,
      tolerance: defaultTolerance(width),
    });
    try {
      return {
        ...tidy(() => expand(stack, { q, ...small })),
        s: tensor(q.gpu, small.sigma, { shape: [...leading, rank] }),
        sweeps: small.sweeps,
        largestCosine: small.largestCosine,
      };
    } finally {
      disposeAll([small.outer, small.inner]);
    }
  } finally {
    q.dispose();
  }
}

interface ProjectOptions {
  readonly width: number;
  readonly powerIterations: number;
  readonly seed: number;
  readonly exponents: readonly number[];
}

/**
 * Of tall matrices T, which are those of the stack or their transposes: the rows q [N, ℓ, max(m, n)], which span nearly the
 * leading left singular vectors, and b = q·T [N, ℓ, min(m, n)], of which b is scaled by the exponents. Between the products a
 * basis of good condition will do; the last is orthonormal whatever the rank.
 */
function project(
  extents: StackExtents,
  { width, powerIterations, seed, exponents }: ProjectOptions,
): { q: Rows; b: Rows } {
  const { m, n, batch } = extents;
  const { gpu } = extents.parts[0]!.tensor;
  const stack = withinRange(extents, exponents);
  const isTall = m >= n;
  const [longer, shorter] = [Math.max(m, n), Math.min(m, n)];
  const scale = reshape(
    powersOfTwo(extents.parts[0]!.tensor, exponents.map((each) => isExtreme(each) ? 0 : -each)),
    [batch, 1, 1],
  );
  const orthonormal = (y: Rows, length: number) => {
    const r = zeros(gpu, [batch, width, strideOf(width)]);
    return basisOf(householder(y, { length, r }), width);
  };
  const condition = width <= maxCholeskyRows ? wellConditioned : orthonormal;
  const times = (x: Rows) => multiplyRows(x, stack, isTall);
  const transposeTimes = (y: Rows) => multiplyRows(y, stack, !isTall);
  let y = times(sketchOf(gpu, { width, length: shorter, seed }));
  for (let i = 0; i < powerIterations; i++) {
    y = times(condition(transposeTimes(condition(y, longer)), shorter));
  }
  const q = orthonormal(mul(y, scale), longer);
  return { q, b: mul(transposeTimes(q), scale) };
}

/** A stack whose elements are of ordinary size; only matrices that are far from it are copied. */
function withinRange(stack: StackExtents, exponents: readonly number[]): StackExtents {
  const parts = stack.parts.map((part) => {
    const { tensor, first, count } = part;
    const own = exponents.slice(first, first + count);
    if (!own.some(isExtreme)) return part;
    const scale = powersOfTwo(tensor, own.map((each) => isExtreme(each) ? -each : 0));
    const matrices = reshape(toFloat(tensor), [count, stack.m, stack.n]);
    return { ...part, tensor: mul(matrices, reshape(scale, [count, 1, 1])) };
  });
  return { ...stack, parts };
}

/** Whether the squares of some products with a matrix of this exponent leave the range of f32. */
function isExtreme(exponent: number): boolean {
  return Math.abs(exponent) > 32;
}

/** Gaussian rows of `length`, the same ones for every matrix: [1, width, stride]. */
function sketchOf(gpu: Gpu, { width, length, seed }: { width: number; length: number; seed: number }): Rows {
  const random = new RandomStream(randomKey(seed, "randomized svd"));
  const stride = strideOf(length);
  const values = new Float32Array(width * stride);
  for (let i = 0; i < width; i++) {
    for (let t = 0; t < length; t++) values[i * stride + t] = random.normal();
  }
  return tensor(gpu, values, { shape: [1, width, stride] });
}

/** T ≈ qᵀ·b with bᵀ = u′·s·v′ᵀ: its vectors are v′ᵀ·q and u′. */
function expand(
  { m, n, leading }: StackExtents,
  { q, outer, inner }: Pick<VectorsOfColumns, "outer" | "inner"> & { readonly q: Rows },
): Pick<Svd, "u" | "vt"> {
  const long = combineRows(inner, q);
  const [left, right] = m < n ? [outer, long] : [long, outer];
  return signedVectors({ left, right }, { m, n, leading });
}
