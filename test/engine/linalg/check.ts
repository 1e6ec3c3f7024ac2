import assert from "node:assert/strict";
import type { Svd } from "../../../src/engine/linalg/mod.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { transpose } from "../../reference/shape.ts";

/** An {@linkcode Svd} on the host. */
export interface HostSvd {
  readonly u: F64Array;
  readonly s: Float32Array;
  readonly vt: F64Array;
}

/** Copies a decomposition to the host and frees it. */
export async function download({ u, s, vt }: Pick<Svd, "u" | "s" | "vt">): Promise<HostSvd> {
  const host = {
    u: F64Array.from(u.shape, await u.floats()),
    s: await s.floats(),
    vt: F64Array.from(vt.shape, await vt.floats()),
  };
  for (const each of [u, s, vt]) each.dispose();
  return host;
}

/** ‖x‖_F. */
export function frobenius({ data }: F64Array): number {
  const largest = data.reduce((max, value) => Math.max(max, Math.abs(value)), 0) || 1;
  return largest * Math.sqrt(data.reduce((sum, value) => sum + (value / largest) ** 2, 0));
}

/** a − u·diag(s)·vt. */
export function residual(a: F64Array, { u, s, vt }: HostSvd): F64Array {
  const product = matmul(u.map((value, i) => value * s[i % s.length]!), vt);
  return a.map((value, i) => value - product.data[i]!);
}

/** ‖xᵀx − I‖_max. */
export function orthonormalityError(x: F64Array): number {
  const k = x.shape[1]!;
  const gram = matmul(transpose(x), x);
  return gram.data.reduce((max, value, i) => Math.max(max, Math.abs(value - (i % (k + 1) === 0 ? 1 : 0))), 0);
}

/** Fails unless u and v are orthonormal to 1e-5, s is sorted and not negative, and the signs are as documented. */
export function assertFactors({ u, s, vt }: HostSvd): void {
  assert.ok(orthonormalityError(u) <= 1e-5, `‖UᵀU − I‖ is ${orthonormalityError(u)}`);
  const v = transpose(vt);
  assert.ok(orthonormalityError(v) <= 1e-5, `‖VᵀV − I‖ is ${orthonormalityError(v)}`);
  s.forEach((value, i) =>
    assert.ok(value >= 0 && value <= (s[i - 1] ?? Infinity), `s[${i}] is ${value} after ${s[i - 1]}`)
  );
  const [m, k] = u.shape as [number, number];
  for (let j = 0; j < k; j++) {
    const column = Array.from({ length: m }, (_, i) => u.data[i * k + j]!);
    const largest = column.reduce((best, value) => Math.abs(value) > Math.abs(best) ? value : best);
    assert.ok(largest > 0, `the largest element of left vector ${j} is ${largest}`);
  }
}

/** {@linkcode assertFactors}, and a = u·s·vt to 1e-5·‖a‖_F, and each σ to 1e-5·σ₁ of `spectrum`. */
export function assertSvd(a: F64Array, svd: HostSvd, spectrum: ArrayLike<number>): void {
  assertFactors(svd);
  const error = frobenius(residual(a, svd));
  assert.ok(error <= 1e-5 * frobenius(a), `‖A − USVᵀ‖_F is ${error}, ‖A‖_F is ${frobenius(a)}`);
  assert.equal(svd.s.length, spectrum.length);
  svd.s.forEach((value, i) => {
    assert.ok(
      Math.abs(value - spectrum[i]!) <= 1e-5 * spectrum[0]!,
      `σ ${i}: expected ${spectrum[i]}, got ${value}`,
    );
  });
}

/** Orthonormal q, upper triangular r with a diagonal of no negatives, and a = q·r. */
export function assertQr(a: F64Array, { q, r }: { q: F64Array; r: F64Array }): void {
  const [m, n] = a.shape as [number, number];
  const k = Math.min(m, n);
  assert.deepEqual([q.shape, r.shape], [[m, k], [k, n]]);
  assert.ok(orthonormalityError(q) <= 1e-5, `‖QᵀQ − I‖ is ${orthonormalityError(q)}`);
  r.data.forEach((value, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    if (row > column) assert.ok(value === 0, `r[${row}, ${column}] is ${value}`);
    if (row === column) assert.ok(value >= 0, `r[${row}, ${row}] is ${value}`);
  });
  const product = matmul(q, r);
  const error = frobenius(a.map((value, i) => value - product.data[i]!));
  assert.ok(error <= 1e-5 * frobenius(a), `‖A − QR‖_F is ${error}, ‖A‖_F is ${frobenius(a)}`);
}
