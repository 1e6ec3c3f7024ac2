import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { maxCholeskyRows } from "../../../src/engine/linalg/cholesky_qr.ts";
import { randomizedSvd, type RandomizedSvdOptions } from "../../../src/engine/linalg/mod.ts";
import { disposeAll, tensor, toFloat, toHalf } from "../../../src/engine/mod.ts";
import { F64Array } from "../../reference/array.ts";
import { jacobiSvd as oracle } from "../../reference/svd.ts";
import { gaussian, matrixCases, matrixWithSpectrum } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { testGpu, upload } from "../harness.ts";
import { assertFactors, assertSvd, download, frobenius, type HostSvd, residual } from "./check.ts";
import { decomposedWeights, readUseLite } from "./use_lite_weights.ts";

const gpu = await testGpu();
const gpuClass = await testGpu("gpu");

async function decompose(a: F64Array, options: RandomizedSvdOptions, on = gpu): Promise<HostSvd> {
  const before = on.stats().liveBytes;
  const x = upload(on, a);
  const svd = await download(await randomizedSvd(x, options));
  x.dispose();
  assert.equal(on.stats().liveBytes, before, "bytes alive afterwards");
  return svd;
}

/**
 * Bound of the expected spectral error of a projection on the range of the sketch (Halko, Martinsson & Tropp 2011, corollary
 * 10.10): the bound of theorem 10.6 on the spectrum to the power 2q + 1, rooted again.
 */
function halkoBound(
  spectrum: readonly number[],
  rank: number,
  oversampling: number,
  powerIterations: number,
): number {
  const exponent = 2 * powerIterations + 1;
  const tail = spectrum.slice(rank).map((value) => value ** exponent);
  const spectral = (1 + Math.sqrt(rank / (oversampling - 1))) * (tail[0] ?? 0);
  const frobeniusPart = Math.E * Math.sqrt(rank + oversampling) / oversampling * Math.hypot(...tail);
  return (spectral + frobeniusPart) ** (1 / exponent);
}

const spectra: Record<string, (j: number, k: number) => number> = {
  linear: (j, k) => (k - j) / k,
  polynomial: (j) => 1 / (j + 1),
  exponential: (j) => 0.8 ** j,
  step: (j) => j < 6 ? 1 : 0.05,
  flat: () => 1,
};

test("randomizedSvd() stays inside the Halko bound over random spectra", async () => {
  const cases = fc.record({
    m: fc.integer({ min: 20, max: 90 }),
    n: fc.integer({ min: 20, max: 70 }),
    kind: fc.constantFrom(...Object.keys(spectra)),
    rank: fc.integer({ min: 1, max: 9 }),
    oversampling: fc.integer({ min: 4, max: 12 }),
    powerIterations: fc.integer({ min: 0, max: 2 }),
    seed: fc.nat(1000),
  });
  // The bound is on the mean over sketches, and for the projection before it's cut to `rank`; it's so generous that the errors here stay
  // below it. Cases and sketches are fixed by their seeds, so nothing can flake.
  // Rounding adds less than 1e-5·σ₁.
  await fc.assert(
    fc.asyncProperty(cases, async ({ m, n, kind, rank, oversampling, powerIterations, seed }) => {
      const k = Math.min(m, n);
      const spectrum = Array.from({ length: k }, (_, j) => spectra[kind]!(j, k));
      const a = matrixWithSpectrum([m, n], spectrum, new Random(seed));
      const svd = await decompose(a, { rank, oversampling, powerIterations, seed });
      assertFactors(svd);
      const error = oracle(residual(a, svd)).s[0]!;
      const bound = halkoBound(spectrum, rank, oversampling, powerIterations) + 1e-5 * spectrum[0]!;
      assert.ok(error <= bound, `spectral error ${error}, bound ${bound}`);
    }),
    { numRuns: 40, seed: 2011 },
  );
});

test("randomizedSvd() with default options is within 1 % of the best on real weight matrices", async () => {
  type Spectra = Record<string, { leading: number[]; errors: Record<string, number> }>;
  const golden = JSON.parse(
    readFileSync(new URL("./golden/use_lite_spectra.json", import.meta.url), "utf8"),
  ) as Spectra;
  const weights = decomposedWeights(await readUseLite());
  assert.deepEqual(weights.map(([name]) => name).sort(), Object.keys(golden).sort());
  for (const [name, { shape, data }] of weights) {
    const a = F64Array.from(shape, data);
    for (const [rank, best] of Object.entries(golden[name]!.errors)) {
      const svd = await decompose(a, { rank: Number(rank) });
      assertFactors(svd);
      const ratio = frobenius(residual(a, svd)) / best;
      assert.ok(
        ratio > 1 - 1e-5 && ratio <= 1.01,
        `${name} at rank ${rank}: error is ${ratio} times the best`,
      );
      // An error within 1 % leaves σ₁² short of at most 0.02·best², far more than is lost in fact.
      assert.ok(Math.abs(svd.s[0]! / golden[name]!.leading[0]! - 1) <= 1e-2, `${name}: σ₁ is ${svd.s[0]}`);
    }
    const { s } = await decompose(a, { rank: 8, powerIterations: 4 });
    assert.ok(Math.abs(s[0]! / golden[name]!.leading[0]! - 1) <= 1e-3, `${name}: σ₁ is ${s[0]}`);
  }
});

test("randomizedSvd() is near the best with as many columns as Cholesky takes, and one more", async () => {
  const spectrum = Array.from({ length: 75 }, (_, j) => 0.9 ** j);
  const a = matrixWithSpectrum([75, 83], spectrum, new Random(12));
  for (const rank of [maxCholeskyRows - 10, maxCholeskyRows - 9]) {
    for (const on of [gpu, gpuClass]) {
      const svd = await decompose(a, { rank, oversampling: 10, powerIterations: 4 }, on);
      assertFactors(svd);
      // The ten columns over the rank and four power iterations leave a factor of (1 + 0.9^(2·9·10))^½; rounding adds 1e-5·‖A‖.
      const best = Math.hypot(...spectrum.slice(rank));
      const error = frobenius(residual(a, svd));
      assert.ok(error <= 1.001 * best + 1e-5 * frobenius(a), `rank ${rank}: error ${error}, best ${best}`);
    }
  }
});

test("randomizedSvd() finds small components beside large ones", async () => {
  // Seven powers of ten: between the products, bases must keep what is 10⁻⁵ of the largest.
  const spectrum = Array.from({ length: 40 }, (_, j) => j < 6 ? 10 ** -j : 1e-7);
  for (const [m, n] of [[90, 40], [40, 90]] as const) {
    const a = matrixWithSpectrum([m, n], spectrum, new Random(m));
    for (const on of [gpu, gpuClass]) {
      const { s } = await decompose(a, { rank: 6 }, on);
      s.forEach((value, j) =>
        assert.ok(Math.abs(value - spectrum[j]!) <= 1e-6, `σ ${j}: expected ${spectrum[j]}, got ${value}`)
      );
    }
  }
});

test("randomizedSvd() of full rank is exact", async () => {
  for (const shape of [[1, 1], [1, 13], [40, 7], [9, 65]] as const) {
    for (const { matrix } of matrixCases(shape, 2)) {
      for (const on of [gpu, gpuClass]) {
        assertSvd(matrix, await decompose(matrix, { rank: Math.min(...shape) }, on), oracle(matrix).s);
      }
    }
  }
});

test("randomizedSvd() finds a matrix of low rank exactly, at any scale", async () => {
  const spectrum = [4, 3, 2, 1];
  const a = matrixWithSpectrum([83, 61], spectrum, new Random(4));
  for (const scale of [1, 2 ** 100, 2 ** -100]) {
    const scaled = a.map((value) => value * scale);
    assertSvd(
      scaled,
      await decompose(scaled, { rank: 4, oversampling: 0, powerIterations: 0 }),
      spectrum.map((value) => value * scale),
    );
  }
});

test("randomizedSvd() gives the same bits for the same seed, and others for another", async () => {
  const a = F64Array.fromF32([50, 40], gaussian([50, 40], new Random(6)).data);
  const options = { rank: 3, powerIterations: 0 };
  const [first, again, other] = [
    await decompose(a, options),
    await decompose(a, options),
    await decompose(a, { ...options, seed: 1 }),
  ];
  assert.deepEqual(again, first);
  assert.notDeepEqual(other.s, first.s);
});

test("randomizedSvd() decomposes a batch with the bits of its members alone", async () => {
  const [m, n, rank] = [45, 70, 5];
  const members = matrixCases([m, n], 8).map(({ matrix }) => matrix);
  const data = new Float32Array(members.flatMap((each) => Array.from(each.data)));
  const { u, s, vt } = await randomizedSvd(tensor(gpu, data, { shape: [members.length, m, n] }), { rank });
  assert.deepEqual([u.shape, s.shape, vt.shape], [[members.length, m, rank], [members.length, rank], [
    members.length,
    rank,
    n,
  ]]);
  const [allU, allS, allVt] = [await u.floats(), await s.floats(), await vt.floats()];
  for (const [b, member] of members.entries()) {
    const alone = await decompose(member, { rank });
    assert.deepEqual(allU.subarray(b * m * rank, (b + 1) * m * rank), alone.u.toF32());
    assert.deepEqual(allS.subarray(b * rank, (b + 1) * rank), alone.s);
    assert.deepEqual(allVt.subarray(b * rank * n, (b + 1) * rank * n), alone.vt.toF32());
  }
});

test("randomizedSvd() decomposes tensors where they lie with the bits of a batch, at any scale and in half precision", async () => {
  const [m, n, rank] = [45, 70, 5];
  const scales = [1, 2 ** 100, 2 ** -100, 2 ** 33, 2 ** 32];
  const a = F64Array.fromF32([m, n], gaussian([m, n], new Random(3)).data);
  const plain = await decompose(a, { rank });
  const before = gpu.stats().liveBytes;
  const list = scales.map((scale) => upload(gpu, a.map((value) => value * scale)));
  const { u, s, vt } = await randomizedSvd(list, { rank });
  assert.deepEqual([u.shape, s.shape, vt.shape], [[5, m, rank], [5, rank], [5, rank, n]]);
  const [allU, allS, allVt] = [await u.floats(), await s.floats(), await vt.floats()];
  for (const [b, scale] of scales.entries()) {
    assert.deepEqual(allU.subarray(b * m * rank, (b + 1) * m * rank), plain.u.toF32());
    assert.deepEqual(allS.subarray(b * rank, (b + 1) * rank), plain.s.map((value) => value * scale));
    assert.deepEqual(allVt.subarray(b * rank * n, (b + 1) * rank * n), plain.vt.toF32());
  }
  const half = toHalf(list[0]!);
  const wide = toFloat(half);
  const [own, expected] = [await randomizedSvd([half], { rank }), await randomizedSvd([wide], { rank })];
  assert.deepEqual(await download(own), await download(expected));
  disposeAll([half, wide]);
  disposeAll([u, s, vt, ...list]);
  assert.equal(gpu.stats().liveBytes, before, "bytes alive afterwards");
});

test("randomizedSvd() takes a sketch of whole eights, at least 8 over the rank", async () => {
  // Of rank 16, 24 rows span all of a 24 × 30 matrix; 16 of them don't.
  const a = F64Array.fromF32([24, 30], gaussian([24, 30], new Random(8)).data);
  const exact = oracle(a).s;
  const byDefault = await decompose(a, { rank: 16, powerIterations: 0 });
  byDefault.s.forEach((value, i) =>
    assert.ok(Math.abs(value - exact[i]!) <= 1e-5 * exact[0]!, `σ ${i}: expected ${exact[i]}, got ${value}`)
  );
  const fewer = await decompose(a, { rank: 16, oversampling: 0, powerIterations: 0 });
  assert.ok(exact[15]! - fewer.s[15]! > 1e-2 * exact[0]!, `${fewer.s[15]} of ${exact[15]}`);
});

test("randomizedSvd() refuses what it can't decompose", async () => {
  const x = tensor(gpu, [1, 2, 3, 4, 5, 6], { shape: [2, 3] });
  for (const rank of [0, 3, 1.5, NaN]) {
    await assert.rejects(randomizedSvd(x, { rank }), {
      name: "RangeError",
      message: `Cannot decompose [2, 3] to rank ${rank}: expected an integer from 1 to 2`,
    });
  }
  await assert.rejects(randomizedSvd(x, { rank: 1, oversampling: -1 }), RangeError);
  await assert.rejects(randomizedSvd(x, { rank: 1, powerIterations: 0.5 }), RangeError);
  const y = tensor(gpu, [1, 2], { shape: [1, 2] });
  for (const [list, shape] of [[[], "[]"], [[x, y], "[1, 2]"], [[tensor(gpu, [1])], "[1]"]] as const) {
    await assert.rejects(randomizedSvd(list, { rank: 1 }), {
      name: "TypeError",
      message:
        `Cannot decompose ${list.length} tensors, one of shape ${shape}: expected at least one, all [m, n] of one shape`,
    });
  }
  const broken = tensor(gpu, [1, 2, 3, Infinity], { shape: [2, 2] });
  await assert.rejects(randomizedSvd([tensor(gpu, [1, 2, 3, 4], { shape: [2, 2] }), broken], { rank: 1 }), {
    name: "NonFiniteError",
    message: "Cannot decompose a matrix with a non-finite element: the first of [2, 2, 2] is at [1, 1, 1]",
  });
  await assert.rejects(randomizedSvd(tensor(gpu, [1, NaN], { shape: [1, 2] }), { rank: 1 }), {
    name: "NonFiniteError",
    message: "Cannot decompose a matrix with a non-finite element: the first of [1, 2] is at [0, 1]",
  });
});
