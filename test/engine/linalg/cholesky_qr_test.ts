import assert from "node:assert/strict";
import { test } from "node:test";
import { maxCholeskyRows, wellConditioned } from "../../../src/engine/linalg/cholesky_qr.ts";
import { strideOf } from "../../../src/engine/linalg/_rows.ts";
import type { Gpu } from "../../../src/engine/gpu/device.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { householderQr } from "../../reference/qr.ts";
import { jacobiSvd as oracle } from "../../reference/svd.ts";
import { transpose } from "../../reference/shape.ts";
import { matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { testGpu } from "../harness.ts";
import { frobenius } from "./check.ts";

const gpu = await testGpu();
const gpuClass = await testGpu("gpu");

/** What the rows of each member's transpose become, as columns again. */
async function condition(members: readonly F64Array[], on: Gpu = gpu): Promise<F64Array[]> {
  const before = on.stats().liveBytes;
  const [m, n] = members[0]!.shape as [number, number];
  const stride = strideOf(m);
  const data = new Float32Array(members.length * n * stride);
  for (const [b, { data: own }] of members.entries()) {
    own.forEach((value, i) => data[(b * n + i % n) * stride + Math.floor(i / n)] = value);
  }
  using y = tensor(on, data, { shape: [members.length, n, stride] });
  using q = wellConditioned(y);
  const values = await q.floats();
  y.dispose();
  q.dispose();
  assert.equal(on.stats().liveBytes, before, "bytes alive afterwards");
  return members.map((_, b) => {
    const at = (i: number) => (b * n + i % n) * stride + Math.floor(i / n);
    for (let i = m; i < stride; i++) assert.equal(values[b * n * stride + i], 0, "padding");
    return F64Array.from([m, n], Float64Array.from({ length: m * n }, (_, i) => values[at(i)]!));
  });
}

/** Spectrum from 1 down to 1/condition. */
function graded(n: number, condition: number): number[] {
  return Array.from({ length: n }, (_, j) => condition ** (-j / Math.max(1, n - 1)));
}

test("wellConditioned() leaves a condition below 2 of up to 10⁵, and the span as it was", async () => {
  for (const [m, n] of [[1, 1], [5, 1], [37, 7], [300, 18], [64, maxCholeskyRows], [257, 33]] as const) {
    for (const kappa of [1, 1e3, 1e5]) {
      const y = matrixWithSpectrum([m, n], graded(n, kappa), new Random(m + n));
      for (const on of [gpu, gpuClass]) {
        const [q] = await condition([y], on);
        const { s } = oracle(q!);
        assert.ok(s[0]! / s[n - 1]! < 2 && s[0]! < 1.01, `${m}×${n}, κ ${kappa}: σ ${s[0]} to ${s[n - 1]}`);
        // Y − Q(Q⁺Y): the products round by some √m·2⁻²⁴, and inverses of κ(first pass) ≤ 2⁸ enlarge it.
        const basis = householderQr(q!).q;
        const inside = matmul(basis, matmul(transpose(basis), y));
        const outside = frobenius(y.map((value, i) => value - inside.data[i]!));
        assert.ok(outside <= 1e-5 * frobenius(y), `${m}×${n}, κ ${kappa}: ${outside} outside of the span`);
      }
    }
  }
});

test("wellConditioned() scales by rows: one that is 10⁻⁶ of another isn't lost", async () => {
  const y = matrixWithSpectrum([50, 9], graded(9, 10), new Random(2)).map((value, i) =>
    value * 10 ** -(i % 9)
  );
  for (const on of [gpu, gpuClass]) {
    const { s } = oracle((await condition([y], on))[0]!);
    assert.ok(s[0]! / s[8]! < 1.01, `σ ${s[0]} to ${s[8]}`);
  }
});

test("wellConditioned() stays finite and short where rows are dependent or zero", async () => {
  const spectrum = [1, 0.5, 0.25, 0, 0, 0];
  const deficient = matrixWithSpectrum([40, 6], spectrum, new Random(3));
  const zero = deficient.map(() => 0);
  const partly = deficient.map((value, i) => i % 6 === 2 ? 0 : value);
  for (const on of [gpu, gpuClass]) {
    for (const [i, q] of (await condition([deficient, zero, partly], on)).entries()) {
      assert.ok(q.data.every(Number.isFinite));
      assert.ok(oracle(q).s[0]! < 1.01);
      if (i === 1) assert.ok(q.data.every((value) => value === 0));
      if (i === 2) assert.ok(q.data.every((value, j) => j % 6 !== 2 || value === 0));
    }
  }
});

test("wellConditioned() gives a member of a batch the bits it gets alone", async () => {
  const members = [1, 30, 1e4, 1e9].map((kappa, i) =>
    matrixWithSpectrum([45, 13], graded(13, kappa), new Random(i))
  );
  for (const on of [gpu, gpuClass]) {
    const together = await condition(members, on);
    for (const [i, member] of members.entries()) {
      assert.deepEqual(together[i]!.data, (await condition([member], on))[0]!.data);
    }
  }
});
