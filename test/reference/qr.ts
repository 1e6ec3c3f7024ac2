import { F64Array } from "./array.ts";
import { transpose } from "./shape.ts";

/**
 * Thin QR by Householder reflections (Golub & Van Loan 5.2.1): a [m, n] = q [m, k]·r [k, n] with k = min(m, n),
 * qᵀq = I also for rank-deficient matrices, and a non-negative diagonal of r, which makes it unique at full rank.
 */
export function householderQr(a: F64Array): { q: F64Array; r: F64Array } {
  const [m, n] = a.shape as [number, number];
  const k = Math.min(m, n);
  const columns = rowsOf(transpose(a));
  const reflectors = Array.from({ length: k }, (_, j) => {
    const v = columns[j]!.slice();
    v.fill(0, 0, j);
    const norm = Math.sqrt(dot(v, v));
    v[j]! += v[j]! < 0 ? -norm : norm;
    const length = Math.sqrt(dot(v, v));
    const unit = length === 0 ? v : v.map((value) => value / length);
    for (let c = j; c < n; c++) reflect(columns[c]!, unit);
    return unit;
  });
  const q = Array.from({ length: k }, (_, j) => {
    const column = new Float64Array(m);
    column[j] = columns[j]![j]! < 0 ? -1 : 1;
    for (let i = k - 1; i >= 0; i--) reflect(column, reflectors[i]!);
    return column;
  });
  const r = F64Array.full([k, n]).map((_, index) => {
    const [i, j] = [Math.floor(index / n), index % n];
    return i > j ? 0 : columns[j]![i]! * (columns[i]![i]! < 0 ? -1 : 1);
  });
  return { q: transpose(stackRows(q, m)), r };
}

/** The rows of a matrix as views of its data. */
export function rowsOf(a: F64Array): Float64Array[] {
  const [m, n] = a.shape as [number, number];
  return Array.from({ length: m }, (_, i) => a.data.subarray(i * n, (i + 1) * n));
}

/** A matrix from its rows, each `width` long. */
export function stackRows(rows: readonly Float64Array[], width: number): F64Array {
  const result = F64Array.full([rows.length, width]);
  rows.forEach((row, i) => result.data.set(row, i * width));
  return result;
}

/** x·y. */
export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/** x ← (I − 2vvᵀ)x for a unit v, or v = 0. */
function reflect(x: Float64Array, v: Float64Array): void {
  const factor = 2 * dot(x, v);
  for (let i = 0; i < x.length; i++) x[i]! -= factor * v[i]!;
}
