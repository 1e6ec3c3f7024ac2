import { NonFiniteError } from "../errors.ts";
import { zeros } from "../ops/create.ts";
import { where } from "../ops/select.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { applyReflectors, basisOf, householder, type Reflectors } from "./_householder.ts";
import {
  exponentsOf,
  extentsOf,
  identityRows,
  type MatrixExtents,
  matrixExtents,
  normsOf,
  pack,
  pick,
  powersOfTwo,
  type Rows,
  signsOf,
  strideOf,
  unpack,
} from "./_rows.ts";
import { orthogonalize } from "./_jacobi.ts";
import { planTournament } from "./tournament.ts";

/** Rows shorter than this, where the largest element is 1 to 2, are zero: see jacobi.wgsl. */
const negligible = 2 ** -50;

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
  /** Sweeps until the last matrix had converged, the one that found nothing to rotate included. */
  readonly sweeps: number;
  /** The largest |cosine| that was left between two columns of any matrix. */
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
 * u and vt are orthonormal whatever the rank. The left vectors (right ones where m < n) are products of rotations and
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
  const { maxSweeps = 30, tolerance = Math.sqrt(Math.max(n, 16)) * 2 ** -23 } = options;
  if (!Number.isInteger(maxSweeps) || maxSweeps < 1) {
    throw new RangeError(`Cannot decompose in ${maxSweeps} sweeps: expected a positive integer`);
  }
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new RangeError(
      `Cannot decompose to a tolerance of ${tolerance}: expected a number between 0 and 1`,
    );
  }
  const exponents = await exponentsOf("decompose", a);
  const tournament = planTournament(a.gpu.adapter, n);
  const head = tournament.rows;
  const { rows, reflectors } = prepare(a, { ...extents, head }, exponents);
  try {
    const { sweeps, largestCosine } = await orthogonalize(rows, tournament, { maxSweeps, tolerance });
    const norms = await readNorms(rows, { length: n, origin: head });
    return {
      ...tidy(() => assemble(extents, { rows, reflectors, norms, exponents })),
      sweeps,
      largestCosine,
    };
  } finally {
    for (const each of [rows, reflectors.columns, reflectors.diagonal, reflectors.state]) each.dispose();
  }
}

/** [R | I] for Jacobi, `head` rows and floats of R with its padding, and the reflectors of Q. */
function prepare(
  a: Tensor,
  { batch, m, n, head }: MatrixExtents & { readonly head: number },
  exponents: readonly number[],
): { rows: Rows; reflectors: Reflectors } {
  return tidy(() => {
    const [count, length] = m >= n ? [n, m] : [m, n];
    const scale = powersOfTwo(a, exponents.map((exponent) => -exponent));
    const columns = pack(a, {
      count,
      length,
      ...(m >= n ? { rowStep: 1, step: n } : { rowStep: n, step: 1 }),
    }, scale);
    const rows = identityRows(zeros(a.gpu, [batch, head, strideOf(head + count)]), head);
    return { rows, reflectors: householder(columns, { length, r: rows, pivoted: true }) };
  });
}

async function readNorms(rows: Rows, range: { length: number; origin: number }): Promise<Float32Array> {
  const norms = normsOf(rows, range);
  try {
    return await norms.floats();
  } finally {
    norms.dispose();
  }
}

interface Rotated {
  readonly rows: Rows;
  readonly reflectors: Reflectors;
  /**
   * ‖·‖₂ of both halves of each row, [N, rows, 2]. The second is 1 but for the rounding of all rotations, which stretches
   * both halves alike and is divided out.
   */
  readonly norms: Float32Array;
  readonly exponents: readonly number[];
}

/** Sorts, normalises, completes and signs the vectors, and applies Q. */
function assemble(
  { batch, m, n, leading }: MatrixExtents,
  { rows, reflectors, norms, exponents }: Rotated,
) {
  const { gpu } = rows;
  const head = rows.shape[1]!;
  const [count, length] = m >= n ? [n, m] : [m, n];
  const order = new Uint32Array(batch * count);
  const sigma = new Float32Array(batch * count);
  const inverse = new Float32Array(batch * count);
  const upright = new Float32Array(batch * count);
  for (let b = 0; b < batch; b++) {
    const first = (i: number) => norms[2 * (b * head + i)]!;
    const second = (i: number) => norms[2 * (b * head + i) + 1]!;
    const own = Float32Array.from({ length: count }, (_, i) => first(i) / second(i));
    order.set(Uint32Array.from(own.keys()).sort((i, j) => own[j]! - own[i]! || i - j), b * count);
    for (let i = b * count; i < (b + 1) * count; i++) {
      const at = order[i]!;
      const norm = own[at]!;
      upright[i] = 1 / second(at);
      if (norm < negligible) continue;
      sigma[i] = norm * 2 ** exponents[b]!;
      inverse[i] = 1 / first(at);
      if (!Number.isFinite(sigma[i])) {
        throw new NonFiniteError(
          `Cannot decompose: a singular value is ${norm}·2^${
            exponents[b]
          }, over the range of f32; scale the matrix down`,
        );
      }
    }
  }
  const shape = [batch, count];
  const orderTensor = tensor(gpu, order, { shape });
  const inverseTensor = tensor(gpu, inverse, { shape });
  const outer = pick(rows, {
    order: orderTensor,
    factor: tensor(gpu, upright, { shape }),
    origin: head,
    length: count,
    outLength: length,
  });
  applyReflectors(reflectors, outer);
  const pickInner = () => pick(rows, { order: orderTensor, factor: inverseTensor, origin: 0, length: count });
  const inner = inverse.includes(0)
    ? complete(pickInner(), { original: pickInner(), length: count, known: inverse })
    : pickInner();
  const [left, right] = m >= n ? [outer, inner] : [inner, outer];
  const signs = signsOf(left, m);
  const k = count;
  return {
    u: unpack(left, { count: k, length: m, rowStep: 1, step: k }, {
      factor: signs,
      shape: [...leading, m, k],
    }),
    s: tensor(gpu, sigma, { shape: [...leading, k] }),
    vt: unpack(right, { count: k, length: n, rowStep: n, step: 1 }, {
      factor: signs,
      shape: [...leading, k, n],
    }),
  };
}

/**
 * Fills in the rows that are zero: row j becomes H_1⋯H_r·e_j, the H being the reflectors of the r rows before it.
 * `scratch` is overwritten; it and `original` hold the same rows.
 */
function complete(
  scratch: Rows,
  { original, length, known }: { original: Rows; length: number; known: Float32Array },
): Rows {
  const [batch, count, stride] = extentsOf(scratch);
  const reflectors = householder(scratch, { length, r: zeros(scratch.gpu, [batch, count, stride]) });
  const basis = basisOf(reflectors, count);
  return where(tensor(scratch.gpu, known, { shape: [batch, count, 1] }), {
    then: original,
    otherwise: basis,
  });
}
