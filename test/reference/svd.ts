import { F64Array } from "./array.ts";
import { dot, rowsOf, stackRows } from "./qr.ts";
import { transpose } from "./shape.ts";

/** a [m, n] = u [m, k]·diag(s)·vᵀ with v [n, k], k = min(m, n), and s in descending order. */
export interface Svd {
  readonly u: F64Array;
  readonly s: Float64Array;
  readonly v: F64Array;
}

const EPSILON = 2 ** -52;
const MAX_SWEEPS = 60;

/**
 * Singular value decomposition by one-sided Jacobi rotations (Hestenes; Demmel & Veselić 1992), to about 1e-14 relative
 * to the largest singular value. u and v are orthonormal also where singular values are 0.
 *
 * @throws {RangeError} when an element is not finite
 */
export function jacobiSvd(a: F64Array): Svd {
  if (!a.data.every(Number.isFinite)) {
    throw new RangeError("Cannot decompose a matrix that has non-finite elements");
  }
  const [m, n] = a.shape as [number, number];
  if (m < n) {
    const { u, s, v } = jacobiSvd(transpose(a));
    return { u: v, s, v: u };
  }
  const columns = rowsOf(transpose(a));
  const v = rowsOf(F64Array.full([n, n]).map((_, i) => i % (n + 1) === 0 ? 1 : 0));
  // Columns shorter than this are rounding noise: their direction means nothing.
  const negligible = EPSILON * Math.sqrt(dot(a.data, a.data));
  let sweep = 0;
  while (rotateAll(columns, v, negligible)) {
    if (++sweep > MAX_SWEEPS) {
      throw new RangeError(`Cannot decompose: no convergence in ${MAX_SWEEPS} sweeps`);
    }
  }
  const norms = columns.map((column) => Math.sqrt(dot(column, column)));
  const order = norms.map((_, j) => j).sort((i, j) => norms[j]! - norms[i]!);
  const u: Float64Array[] = [];
  for (const j of order) {
    const norm = norms[j]!;
    u.push(norm > negligible ? columns[j]!.map((value) => value / norm) : orthonormalTo(u, m));
  }
  return {
    u: transpose(stackRows(u, m)),
    s: Float64Array.from(order, (j) => norms[j]!),
    v: transpose(stackRows(order.map((j) => v[j]!), n)),
  };
}

/**
 * The error that no approximation of rank `rank` can beat (Eckart–Young), from the singular values in descending
 * order: σ_{r+1} in the spectral norm, √Σ_{j>r} σⱼ² in Frobenius'.
 */
export function bestRankError(s: ArrayLike<number>, rank: number): { spectral: number; frobenius: number } {
  const tail = Array.from(s).slice(rank);
  return { spectral: tail[0] ?? 0, frobenius: Math.hypot(...tail) };
}

/** One sweep over all pairs of columns; true if any pair was not yet orthogonal to working precision. */
function rotateAll(columns: Float64Array[], v: Float64Array[], negligible: number): boolean {
  let rotated = false;
  for (let i = 0; i < columns.length; i++) {
    for (let j = i + 1; j < columns.length; j++) {
      const [x, y] = [columns[i]!, columns[j]!];
      const [alpha, beta, gamma] = [dot(x, x), dot(y, y), dot(x, y)];
      if (Math.min(alpha, beta) <= negligible ** 2) continue;
      if (Math.abs(gamma) <= EPSILON * Math.sqrt(x.length) * Math.sqrt(alpha) * Math.sqrt(beta)) continue;
      const zeta = (beta - alpha) / (2 * gamma);
      const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
      const cosine = 1 / Math.hypot(1, tangent);
      rotate(x, y, cosine, cosine * tangent);
      rotate(v[i]!, v[j]!, cosine, cosine * tangent);
      rotated = true;
    }
  }
  return rotated;
}

function rotate(x: Float64Array, y: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < x.length; i++) {
    const [xi, yi] = [x[i]!, y[i]!];
    x[i] = cosine * xi - sine * yi;
    y[i] = sine * xi + cosine * yi;
  }
}

/** A unit vector orthogonal to an orthonormal set: the coordinate axis farthest from it, projected twice. */
function orthonormalTo(basis: readonly Float64Array[], length: number): Float64Array {
  const distances = Array.from({ length }, (_, i) => 1 - basis.reduce((sum, b) => sum + b[i]! ** 2, 0));
  const x = new Float64Array(length);
  x[distances.indexOf(Math.max(...distances))] = 1;
  for (let pass = 0; pass < 2; pass++) {
    for (const b of basis) {
      const overlap = dot(x, b);
      for (let i = 0; i < length; i++) x[i]! -= overlap * b[i]!;
    }
  }
  const norm = Math.sqrt(dot(x, x));
  return x.map((value) => value / norm);
}
