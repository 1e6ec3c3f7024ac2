import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { qr } from "../../../src/engine/linalg/mod.ts";
import { type Gpu } from "../../../src/engine/gpu/device.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { F64Array } from "../../reference/array.ts";
import { householderQr } from "../../reference/qr.ts";
import { extents, f32Arrays } from "../../support/arbitraries.ts";
import { assertClose } from "../../support/compare.ts";
import { gaussian, matrixCases, matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { holds, testGpu, upload } from "../harness.ts";
import { assertQr } from "./check.ts";

const gpu = await testGpu();
const gpuClass = await testGpu("gpu");

async function factor(a: F64Array, on: Gpu = gpu): Promise<{ q: F64Array; r: F64Array }> {
  const before = on.stats().liveBytes;
  const x = upload(on, a);
  const result = await qr(x);
  const host = {
    q: F64Array.from(result.q.shape, await result.q.floats()),
    r: F64Array.from(result.r.shape, await result.r.floats()),
  };
  for (const each of [x, result.q, result.r]) each.dispose();
  assert.equal(on.stats().liveBytes, before, "bytes alive afterwards");
  return host;
}

const matrices = fc.tuple(extents(80), extents(80)).chain((shape) =>
  f32Arrays(shape, { classes: ["ordinary", "tiny", "huge", "zero", "equal", "mixed"] })
);

test("qr() decomposes any shape and scale", async () => {
  await holds(matrices, async (a) => assertQr(a, await factor(a)), 60);
});

test("qr() decomposes any shape and scale in the kernels for GPUs", async () => {
  await holds(matrices, async (a) => assertQr(a, await factor(a, gpuClass)), 15);
});

test("qr() decomposes graded, rank-deficient, repeated and zero spectra", async () => {
  for (const shape of [[1, 17], [65, 33], [33, 130]] as const) {
    for (const { matrix } of matrixCases(shape, 3)) assertQr(matrix, await factor(matrix));
  }
});

test("qr() has orthonormal columns where squares of elements vanish", async () => {
  const [m, n] = [20, 18];
  const scaled = gaussian([m, n], new Random(9)).map((value, i) => value * 10 ** (-2 * (i % n)));
  const a = F64Array.fromF32([m, n], scaled.data);
  for (const on of [gpu, gpuClass]) assertQr(a, await factor(a, on));
});

test("qr() agrees with the float64 oracle, which full rank makes unique", async () => {
  // The factors move by about the condition of the matrix, here 2, times the backward error, under 1e-6 relative.
  for (const [m, n] of [[61, 33], [40, 40]] as const) {
    const a = matrixWithSpectrum([m, n], Array.from({ length: n }, (_, j) => j % 2 + 1), new Random(m));
    const [found, expected] = [await factor(a), householderQr(a)];
    assertClose(found.q.data, expected.q, { absolute: 1e-5 });
    assertClose(found.r.data, expected.r, { absolute: 1e-5 });
  }
});

test("qr() decomposes a batch with the bits of its members alone", async () => {
  const [m, n] = [21, 30];
  const members = matrixCases([m, n], 5).map(({ matrix }) => matrix);
  const data = new Float32Array(members.flatMap((each) => Array.from(each.data)));
  const { q, r } = await qr(tensor(gpu, data, { shape: [members.length, m, n] }));
  assert.deepEqual([q.shape, r.shape], [[members.length, m, m], [members.length, m, n]]);
  const [allQ, allR] = [await q.floats(), await r.floats()];
  for (const [b, member] of members.entries()) {
    const alone = await factor(member);
    assert.deepEqual(allQ.subarray(b * m * m, (b + 1) * m * m), alone.q.toF32());
    assert.deepEqual(allR.subarray(b * m * n, (b + 1) * m * n), alone.r.toF32());
  }
});

test("qr() refuses non-finite elements and other shapes", async () => {
  await assert.rejects(qr(tensor(gpu, [1, 2, 3, NaN], { shape: [2, 2] })), {
    name: "NonFiniteError",
    message: "Cannot factor a matrix with a non-finite element: the first of [2, 2] is at [1, 1]",
  });
  await assert.rejects(qr(tensor(gpu, [1])), TypeError);
});
