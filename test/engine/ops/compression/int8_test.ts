import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toInt8 } from "../../../../src/engine/ops/compression/int8.ts";
import { toFloat, toPrecision } from "../../../../src/engine/ops/compression/precision.ts";
import { mul } from "../../../../src/engine/ops/elementwise.ts";
import { reshape, slice } from "../../../../src/engine/ops/shape.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { F64Array } from "../../../reference/array.ts";
import { int8Rows, int8Values } from "../../../reference/int8.ts";
import { anyFloats, f32Arrays, shapes } from "../../../support/arbitraries.ts";
import { bitsOf, holds, run, testFamilies, upload } from "../../harness.ts";

const families = await testFamilies();
const gpu = families["cpu"]!;

const anyBits = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70 })).chain((
  [rows, columns],
) => anyFloats(rows * columns).map((data) => F64Array.fromF32([rows, columns], data)));
const matrices = fc.oneof(
  shapes({ minRank: 1, maxRank: 3, maxSize: 2000 }).chain((shape) => f32Arrays(shape)),
  anyBits,
);

test("toInt8() gives the oracle's whole numbers and scales, and |w - q s| <= s / 2, on every adapter class", async () => {
  await holds(matrices, async (w) => {
    const rows = int8Rows(w);
    const columns = w.shape.at(-1)!;
    const expected = Float32Array.from(rows.flatMap(({ levels, scale }) => levels.map((q) => q * scale)));
    for (const each of Object.values(families)) {
      const y = await run(each, () => toFloat(toInt8(upload(each, w))));
      // −0 becomes 0.
      assert.deepEqual(bitsOf(y), bitsOf(expected.map((value) => value + 0)));
    }
    w.data.forEach((value, i) => {
      const { levels, scale } = rows[Math.floor(i / columns)]!;
      const q = levels[i % columns]!;
      assert.ok(Math.abs(q) <= 127 && Math.abs(value - q * scale) <= scale / 2, `${value} ${q} ${scale}`);
    });
  });
});

test("toInt8() matches rows worked by hand", async () => {
  const max = Math.fround(3.4028234663852886e38);
  const cases: [number[], number[]][] = [
    [[127, -127, 1, 0.5, 1.5, -2.5], [127, -127, 1, 0, 2, -2]], // scale 1, ties to even
    [[0, -0, 0], [0, 0, 0]],
    [[1e30, 1, -1e27], [Math.fround(127 * Math.fround(1e30 / 127)), 0, 0]], // 1e27 is an eighth of the scale
    [[2 ** -149, 0], [0, 0]], // less than half of the smallest scale
    [[2 ** -126, -(2 ** -127), 3 * 2 ** -128], [2 ** -126, 0, 2 ** -126]],
    [[max, -max], [max - 2 ** 104, 2 ** 104 - max].map(Math.fround)],
    [[5], [Math.fround(127 * Math.fround(5 / 127))]],
  ];
  for (const each of Object.values(families)) {
    for (const [row, expected] of cases) {
      const y = await run(each, () => toFloat(toInt8(tensor(each, row))));
      if (row[0] === max) {
        assert.ok(y.every(Number.isFinite) && Math.abs(y[0]! / max - 1) <= 2 ** -22, `${y}`);
      } else assert.deepEqual([...y], expected);
    }
  }
});

test("toInt8() turns rows with NaN or infinity into NaN and leaves others alone", async () => {
  const y = await run(
    gpu,
    () => toFloat(toInt8(tensor(gpu, [1, NaN, 127, 2, -Infinity, 0], { shape: [3, 2] }))),
  );
  assert.deepEqual([...y], [NaN, NaN, 127, 2, NaN, NaN]);
});

test("toInt8() takes a byte an element, in rows of whole words, and four bytes a row", () => {
  for (const [shape, bytes] of [[[64, 512], 64 * 516], [[128, 13], 128 * 20], [[512], 516]] as const) {
    const before = gpu.stats().liveBytes;
    using x = upload(gpu, F64Array.full(shape));
    const own = gpu.stats().liveBytes - before;
    using stored = toInt8(x);
    assert.equal(stored.range.bytes, Math.ceil(bytes / 16) * 16);
    const taken = gpu.stats().liveBytes - before - own;
    assert.ok(taken >= bytes && taken <= 1.125 * bytes + 256, `${taken} for ${bytes}`);
  }
});

test("tensors in 8 bits are for weights alone: anything else names what to do", async () => {
  using x = upload(gpu, F64Array.full([4, 6]));
  using stored = toPrecision(x, "int8");
  using sameX = toPrecision(x, "f32");
  assert.equal(sameX.storage, x.storage);
  assert.throws(() => mul(stored, stored), { name: "TypeError", message: /dtype int8 .* expected f32/ });
  assert.throws(() => slice(stored, { start: 0, end: 2 }), { name: "TypeError", message: /int8.*toFloat/ });
  assert.throws(() => reshape(stored, [24]), { name: "TypeError", message: /rows must stay whole/ });
  assert.throws(() => toInt8(stored), { name: "TypeError", message: /dtype int8 .* expected f32/ });
  assert.throws(() => stored.requireGrad(), { name: "TypeError", message: /only f32/ });
  await assert.rejects(stored.data(), { name: "TypeError", message: /int8 on the host: convert by toFloat/ });
  using rows = reshape(stored, [2, 2, 6]);
  assert.deepEqual(int8Values(F64Array.full([2, 2, 6])).shape, rows.shape);
});
