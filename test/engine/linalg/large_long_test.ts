import { test } from "node:test";
import { jacobiSvd, qr } from "../../../src/engine/linalg/mod.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { gaussian, matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { testGpu, upload } from "../harness.ts";
import { assertQr, assertSvd, download } from "./check.ts";

const gpu = await testGpu();

test("jacobiSvd() decomposes 512×512 of a known spectrum", async () => {
  const spectrum = Array.from({ length: 512 }, (_, j) => 1 / (1 + j));
  // Rounding the matrix to float32 moves a singular value by at most 2^-24·‖A‖_F < 1e-7.
  const matrix = matrixWithSpectrum([512, 512], spectrum, new Random(512));
  assertSvd(matrix, await download(await jacobiSvd(upload(gpu, matrix))), spectrum);
});

test("qr() has orthonormal columns at 512×512 and 700×512 of rank 300", async () => {
  const random = new Random(1);
  const full = F64Array.fromF32([512, 512], gaussian([512, 512], random).data);
  const deficient = F64Array.fromF32(
    [700, 512],
    matmul(gaussian([700, 300], random), gaussian([300, 512], random)).data,
  );
  for (const matrix of [full, deficient]) {
    const { q, r } = await qr(upload(gpu, matrix));
    assertQr(matrix, {
      q: F64Array.from(q.shape, await q.data()),
      r: F64Array.from(r.shape, await r.data()),
    });
  }
});
