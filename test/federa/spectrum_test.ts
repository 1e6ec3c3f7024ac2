import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NonFiniteError } from "../../src/engine/mod.ts";
import { productSpectrum, weightSpectrum } from "../../src/federa/mod.ts";
import { holds, testGpu, upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { matmul } from "../reference/matmul.ts";
import { jacobiSvd } from "../reference/svd.ts";
import { gaussian, matrixWithSpectrum } from "../support/matrices.ts";
import { Random } from "../support/random.ts";

const gpu = await testGpu();

const side = fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 40);

// The factorisations are backward stable: each moves a value by at most some n·u of the largest.
test("productSpectrum() is the spectrum of the product, which float64 forms, and leaks nothing", async () => {
  const cases = fc.record({ out: side, width: side, rank: side, seed: fc.nat() });
  await holds(cases, async ({ out, width, rank, seed }) => {
    const random = new Random(seed);
    const a = F64Array.fromF32([rank, width], gaussian([rank, width], random).data);
    const b = F64Array.fromF32([out, rank], gaussian([out, rank], random).data);
    const expected = jacobiSvd(matmul(b, a)).s.subarray(0, Math.min(out, width, rank));
    const before = gpu.stats().liveBytes;
    using loraA = upload(gpu, a);
    using loraB = upload(gpu, b);
    const live = gpu.stats().liveBytes;
    const { values, complete } = await productSpectrum({ loraA, loraB });
    assert.equal(gpu.stats().liveBytes, live);
    assert.ok(before < live && complete);
    assert.equal(values.length, expected.length);
    const scale = jacobiSvd(a).s[0]! * jacobiSvd(b).s[0]!;
    values.forEach((value, i) =>
      assert.ok(Math.abs(value - expected[i]!) <= 1e-5 * scale, `${value} must be ${expected[i]}`)
    );
  }, 25);
});

test("weightSpectrum() finds all values of a small matrix, and the leading ones of a larger", async () => {
  const spectrum = Array.from({ length: 13 }, (_, i) => 2 ** -i);
  using weight = upload(gpu, matrixWithSpectrum([17, 13], spectrum, new Random(1)));
  const all = await weightSpectrum(weight, { maxValues: 7 });
  assert.deepEqual([all.complete, all.values.length], [true, 13]);
  const leading = await weightSpectrum(weight, { maxValues: 6 });
  assert.deepEqual([leading.complete, leading.values.length], [false, 6]);
  for (const { values } of [all, leading]) {
    values.forEach((value, i) => assert.ok(Math.abs(value - spectrum[i]!) <= 1e-5, `value ${i}: ${value}`));
  }
});

test("weightSpectrum() refuses what has no singular values", async () => {
  using weight = upload(gpu, F64Array.from([1, 2], [1, NaN]));
  await assert.rejects(weightSpectrum(weight), NonFiniteError);
  await assert.rejects(weightSpectrum(weight, { maxValues: 0 }), /0 singular values.*positive integer/);
});
