import type { Tensor } from "../src/engine/mod.ts";

/** A thin singular value decomposition on the host, row-major: u [m, k], s [k], vt [k, n]. */
export interface Factors {
  readonly u: ArrayLike<number>;
  readonly s: ArrayLike<number>;
  readonly vt: ArrayLike<number>;
}

/** How good a decomposition is, in float64. */
export interface FactorErrors {
  /** ‖A − U·S·Vᵀ‖_F / ‖A‖_F over some rows. */
  readonly error: number;
  /** The largest |UᵀU − I| and |VᵀV − I| among some columns. */
  readonly orthogonality: number;
}

/** Multiply-adds that a check of the product may take, and the rows it takes at least. */
const checkedWork = 6e7;
const checkedRows = 48;
const checkedColumns = 24;

/** Copies a decomposition to the host and frees it. */
export async function downloadFactors({ u, s, vt }: Record<"u" | "s" | "vt", Tensor>): Promise<Factors> {
  const factors = { u: await u.floats(), s: await s.floats(), vt: await vt.floats() };
  for (const each of [u, s, vt]) each.dispose();
  return factors;
}

/** Checks a decomposition of `a` [m, n] on rows and columns spread evenly over it, the last ones among them. */
export function checkFactors(
  a: ArrayLike<number>,
  [m, n]: readonly [number, number],
  { u, s, vt }: Factors,
): FactorErrors {
  const k = s.length;
  let [residual, total] = [0, 0];
  for (const i of spread(m, Math.max(checkedRows, Math.floor(checkedWork / (k * n))))) {
    const row = new Float64Array(n);
    for (let j = 0; j < k; j++) {
      const weight = u[i * k + j]! * s[j]!;
      for (let c = 0; c < n; c++) row[c]! += weight * vt[j * n + c]!;
    }
    for (let c = 0; c < n; c++) {
      residual += (a[i * n + c]! - row[c]!) ** 2;
      total += a[i * n + c]! ** 2;
    }
  }
  let orthogonality = 0;
  const columns = spread(k, checkedColumns);
  for (const i of columns) {
    for (const j of columns) {
      let [left, right] = [i === j ? -1 : 0, i === j ? -1 : 0];
      for (let r = 0; r < m; r++) left += u[r * k + i]! * u[r * k + j]!;
      for (let c = 0; c < n; c++) right += vt[i * n + c]! * vt[j * n + c]!;
      orthogonality = Math.max(orthogonality, Math.abs(left), Math.abs(right));
    }
  }
  return { error: Math.sqrt(residual / total), orthogonality };
}

function spread(length: number, count: number): number[] {
  const taken = Math.min(length, count);
  return Array.from({ length: taken }, (_, i) => length - 1 - Math.floor(i * length / taken));
}
