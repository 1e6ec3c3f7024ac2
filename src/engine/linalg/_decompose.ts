import { NonFiniteError } from "../errors.ts";
import { zeros } from "../ops/create.ts";
import { where } from "../ops/select.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { applyReflectors, basisOf, householder, type Reflectors } from "./_householder.ts";
import { orthogonalize, type OrthogonalizeOptions } from "./_jacobi.ts";
import {
  extentsOf,
  identityRows,
  matrixExtents,
  normsOf,
  pack,
  pick,
  powersOfTwo,
  type Rows,
  strideOf,
} from "./_rows.ts";
import { signedVectors } from "./_signed_vectors.ts";
import { planTournament } from "./tournament.ts";

/** Rows shorter than this, where the largest element is 1 to 2, are zero: see jacobi.wgsl. */
const negligible = 2 ** -50;

/** Most sweeps by default. */
export const defaultSweeps = 30;

/** Largest |cosine| between two of `count` columns that counts as orthogonal by default. */
export function defaultTolerance(count: number): number {
  return Math.sqrt(Math.max(count, 16)) * 2 ** -23;
}

/** Options of {@linkcode decompose}. */
export interface DecomposeOptions extends OrthogonalizeOptions {
  /** For each matrix, the exponent of the power of two that multiplies its singular values at the end. */
  readonly exponents: readonly number[];
  /** Whether the matrices are divided by these powers already. */
  readonly scaled?: boolean;
}

/** See {@linkcode Svd}; the singular values are on the host, [N·k]. */
export interface Decomposition {
  readonly u: Tensor;
  readonly sigma: Float32Array;
  readonly vt: Tensor;
  readonly sweeps: number;
  readonly largestCosine: number;
}

/**
 * The work of {@linkcode jacobiSvd}, for elements that are known to be finite and, once scaled, of ordinary size.
 *
 * @throws {NonFiniteError} when a singular value is over the range of f32.
 * @throws {ConvergenceError} when `maxSweeps` don't suffice.
 */
export async function decompose(a: Tensor, options: DecomposeOptions): Promise<Decomposition> {
  const { exponents, scaled = false } = options;
  const extents = matrixExtents("decompose", a);
  const { m, n } = extents;
  const [count, length] = m >= n ? [n, m] : [m, n];
  const columns = tidy(() => {
    const layout = { count, length, ...(m >= n ? { rowStep: 1, step: n } : { rowStep: n, step: 1 }) };
    return pack(a, layout, powersOfTwo(a, exponents.map((exponent) => scaled ? 0 : -exponent)));
  });
  const { outer, inner, ...found } = await decomposeColumns(columns, { ...options, length });
  try {
    const [left, right] = m >= n ? [outer, inner] : [inner, outer];
    return { ...tidy(() => signedVectors({ left, right }, extents)), ...found };
  } finally {
    outer.dispose();
    inner.dispose();
  }
}

/** Options of {@linkcode decomposeColumns}. */
export interface DecomposeColumnsOptions extends OrthogonalizeOptions {
  /** Length of the columns, at least their number. */
  readonly length: number;
  /** As in {@linkcode DecomposeOptions}. */
  readonly exponents: readonly number[];
  /** Leading triplets wanted; all by default. */
  readonly rank?: number;
}

/** Singular vectors as rows, of either sign. */
export interface VectorsOfColumns {
  /** Those as long as a column, [N, rank, stride]. */
  readonly outer: Rows;
  /** Those with an element for each column, [N, rank, stride]. */
  readonly inner: Rows;
  /** [N·rank]. */
  readonly sigma: Float32Array;
  readonly sweeps: number;
  readonly largestCosine: number;
}

/** {@linkcode decompose} for matrices whose columns are the rows of `columns`, which it overwrites and disposes. */
export async function decomposeColumns(
  columns: Rows,
  options: DecomposeColumnsOptions,
): Promise<VectorsOfColumns> {
  const { length, exponents } = options;
  const [, count] = extentsOf(columns);
  const { rank = count } = options;
  const tournament = planTournament(columns.gpu.adapter, count);
  const { rows, reflectors } = prepare(columns, length, tournament.rows);
  try {
    const { sweeps, largestCosine } = await orthogonalize(rows, tournament, options);
    const norms = await readNorms(rows, { length: count, origin: tournament.rows });
    return {
      ...tidy(() => assemble({ rows, reflectors, norms, exponents, count, length, rank })),
      sweeps,
      largestCosine,
    };
  } finally {
    for (const each of [rows, columns, reflectors.diagonal, reflectors.state]) each.dispose();
  }
}

/** [R | I] for Jacobi, `head` rows and floats of R with its padding, and the reflectors of Q. */
function prepare(columns: Rows, length: number, head: number): { rows: Rows; reflectors: Reflectors } {
  const [batch, count] = extentsOf(columns);
  return tidy(() => {
    const rows = identityRows(zeros(columns.gpu, [batch, head, strideOf(head + count)]), head);
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
  /** Columns of each matrix, and their length. */
  readonly count: number;
  readonly length: number;
  readonly rank: number;
}

/** Sorts, normalises and completes the leading vectors, and applies Q. */
function assemble({ rows, reflectors, norms, exponents, count, length, rank }: Rotated) {
  const { gpu } = rows;
  const [batch, head] = extentsOf(rows);
  const order = new Uint32Array(batch * rank);
  const sigma = new Float32Array(batch * rank);
  const inverse = new Float32Array(batch * rank);
  const upright = new Float32Array(batch * rank);
  for (let b = 0; b < batch; b++) {
    const first = (i: number) => norms[2 * (b * head + i)]!;
    // A rehearsal reads zeros.
    const second = (i: number) => norms[2 * (b * head + i) + 1]! || 1;
    const own = Float32Array.from({ length: count }, (_, i) => first(i) / second(i));
    const sorted = Uint32Array.from(own.keys()).sort((i, j) => own[j]! - own[i]! || i - j);
    order.set(sorted.subarray(0, rank), b * rank);
    for (let i = b * rank; i < (b + 1) * rank; i++) {
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
  const shape = [batch, rank];
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
  return { outer, inner, sigma };
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
