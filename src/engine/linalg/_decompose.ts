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
  type MatrixExtents,
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
  const n = Math.min(extents.m, extents.n);
  const tournament = planTournament(a.gpu.adapter, n);
  const head = tournament.rows;
  const scales = exponents.map((exponent) => scaled ? 0 : -exponent);
  const { rows, reflectors } = prepare(a, { ...extents, head, scales });
  try {
    const { sweeps, largestCosine } = await orthogonalize(rows, tournament, options);
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
  { batch, m, n, head, scales }: MatrixExtents & {
    readonly head: number;
    readonly scales: readonly number[];
  },
): { rows: Rows; reflectors: Reflectors } {
  return tidy(() => {
    const [count, length] = m >= n ? [n, m] : [m, n];
    const scale = powersOfTwo(a, scales);
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
    // A rehearsal reads zeros.
    const second = (i: number) => norms[2 * (b * head + i) + 1]! || 1;
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
  return { ...signedVectors({ left, right }, { m, n, leading }), sigma };
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
