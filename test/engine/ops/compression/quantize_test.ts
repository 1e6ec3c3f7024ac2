import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quantizeRows } from "../../../../src/engine/ops/compression/quantize.ts";
import { philox4x32, type RandomKey, randomKey } from "../../../../src/engine/random.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { anyFloats, f32Arrays, shapes } from "../../../support/arbitraries.ts";
import { bitsOf, holds, run, testFamilies, testGpu } from "../../harness.ts";

const families = await testFamilies();
const gpu = await testGpu();
const site: readonly [number, number] = [0x89abcdef, 5];
const keysOf = (members: number, seed = 1) =>
  Array.from({ length: members }, (_, c) => randomKey(seed, "quantize", c));

interface Quantization {
  readonly levels: number;
  readonly keys: readonly RandomKey[];
}

function quantize(
  values: Float32Array,
  shape: readonly number[],
  { levels, keys }: Quantization,
  on = gpu,
): Promise<Float32Array> {
  return run(on, () => {
    const uploaded = tensor(on, Uint32Array.from(keys.flat()), { shape: [keys.length, 2] });
    return quantizeRows(tensor(on, values, { shape }), { levels, keys: uploaded, site });
  });
}

/** A float as a whole multiple of 2^-149. */
function wholeOf(value: number): bigint {
  const [bits] = bitsOf(Float32Array.of(Math.abs(value))) as unknown as [number];
  const exponent = bits >>> 23;
  return exponent === 0 ? BigInt(bits) : BigInt((bits & 0x7fffff) | 0x800000) << BigInt(exponent - 1);
}

/** Checks one row against the definition, in whole numbers of any length and in float64. */
function checkRow(x: Float32Array, y: Float32Array, draws: (column: number) => number, levels: number): void {
  const largest = x.reduce((sofar, value) => Math.max(sofar, Math.abs(value)), 0);
  x.forEach((value, column) => {
    if (largest === 0) return assert.ok(Object.is(y[column], 0));
    const dividend = BigInt(levels) * wholeOf(value);
    const divisor = wholeOf(largest);
    const level = Number(dividend / divisor);
    const distance = BigInt(draws(column)) * divisor - ((dividend % divisor) << 32n);
    // Level 0 is +0; a level that is too small for f32 is 0 with its sign.
    const valueAt = (q: number) => Math.fround((value < 0 && q > 0 ? -q : q) * largest / levels);
    // A draw within 2^-30 of the probability may fall on either side; nothing else is left open.
    const near = (distance < 0n ? -distance : distance) <= divisor * 4n;
    const expected = valueAt(level + (distance < 0n ? 1 : 0));
    const other = valueAt(level + (distance < 0n ? 0 : 1));
    assert.ok(
      Object.is(y[column], expected) || (near && Object.is(y[column], other)),
      `column ${column}: ${value} of at most ${largest} became ${y[column]}, expected ${expected}`,
    );
  });
}

const cases = shapes({ minRank: 1, maxSize: 1500 }).chain((shape) => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const values = fc.oneof(f32Arrays(shape).map(({ data }) => Float32Array.from(data)), anyFloats(size));
  return fc.record({ shape: fc.constant(shape), values, seed: fc.nat(), levels: fc.constantFrom(1, 7, 127) });
});

test("quantizeRows() is the definition to the bit, on every family of kernels", async () => {
  await holds(cases, async ({ shape, values, seed, levels }) => {
    const [members, ...own] = shape as [number, ...number[]];
    const columns = own.at(-1) ?? 1;
    const keys = keysOf(members, seed);
    const y = await quantize(values, shape, { levels, keys }, families["cpu"]);
    const rows = values.length / columns;
    for (let row = 0; row < rows; row++) {
      const at = [row * columns, (row + 1) * columns] as const;
      const key = keys[Math.floor(row / (rows / members))]!;
      const draws = (column: number) =>
        philox4x32([Math.floor(column / 4), row % (rows / members), ...site], key)[column % 4]!;
      checkRow(values.subarray(...at), y.subarray(...at), draws, levels);
    }
    const other = await quantize(values, shape, { levels, keys }, families["gpu"]);
    assert.deepEqual(bitsOf(other), bitsOf(y));
  });
});

test("quantizeRows() leaves the largest of a row, equal values and rows of one element as they are", async () => {
  await holds(f32Arrays([8, 1]), async ({ data }) => {
    const values = Float32Array.from(data);
    const keys = keysOf(8);
    const plusZero = values.map((value) => value + 0);
    assert.deepEqual(await quantize(values, [8, 1], { levels: 127, keys }), plusZero);
    assert.deepEqual(await quantize(values, [8], { levels: 7, keys }), plusZero);
    const equal = new Float32Array(40).map((_, i) => values[Math.floor(i / 5)]! * (i % 2 === 0 ? 1 : -1) + 0);
    assert.deepEqual(await quantize(equal, [8, 5], { levels: 7, keys }), equal);
  });
});

test("quantizeRows() of a member depends on neither its neighbours nor what is appended to rows and columns", async () => {
  const [members, rows, columns] = [3, 5, 7];
  const values = Float32Array.from({ length: members * rows * columns }, (_, i) => Math.sin(i + 1));
  const keys = keysOf(members);
  const together = await quantize(values, [members, rows, columns], { levels: 7, keys });
  const size = rows * columns;
  for (let c = 0; c < members; c++) {
    const own = values.subarray(c * size, (c + 1) * size);
    const alone = await quantize(own, [1, rows, columns], { levels: 7, keys: [keys[c]!] });
    assert.deepEqual(bitsOf(together.slice(c * size, (c + 1) * size)), bitsOf(alone));
    const padded = new Float32Array(8 * 9);
    const at = (i: number) => Math.floor(i / columns) * 9 + i % columns;
    own.forEach((value, i) => padded[at(i)] = value);
    const wide = await quantize(padded, [1, 8, 9], { levels: 7, keys: [keys[c]!] });
    assert.deepEqual(bitsOf(alone.map((_, i) => wide[at(i)]!)), bitsOf(alone));
    assert.ok(wide.every((value, i) => value === 0 || padded[i] !== 0));
  }
});

test("quantizeRows() is right on the average, and varies by no more than rounding must", async () => {
  const draws = 4096;
  for (const levels of [7, 127]) {
    const row = Float32Array.of(1, -0.9, 0.5, 1 / 3, -0.123, 0.01, 1e-3, -1e-4, 0);
    const values = Float32Array.from({ length: draws * row.length }, (_, i) => row[i % row.length]!);
    const y = await quantize(values, [draws, row.length], { levels, keys: keysOf(draws) });
    row.forEach((value, column) => {
      const samples = Array.from({ length: draws }, (_, c) => y[c * row.length + column]! * levels);
      const mean = samples.reduce((sum, sample) => sum + sample, 0) / draws;
      const variance = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / draws;
      // In units of a level a sample is ⌊v⌋ or ⌈v⌉, so its variance is p(1 − p) with p the fraction of v. The mean of 4096 of
      // them is within 5.5 standard errors for each of 18 columns with probability above 1 − 18·4e-8; 1e-5 is for f32.
      const p = Math.abs(value * levels) % 1;
      const spread = p * (1 - p);
      assert.ok(
        Math.abs(mean - value * levels) <= 5.5 * Math.sqrt(spread / draws) + 1e-5,
        `${levels} levels: mean ${mean} of ${value * levels}`,
      );
      // The sample variance of a Bernoulli draw is p̂(1 − p̂) exactly, and p̂ is within the same bound of p.
      assert.ok(Math.abs(variance - spread) <= 5.5 * Math.sqrt(spread / draws) + 1e-5);
    });
  }
});

test("quantizeRows() draws independently of the neighbour, the row, the site and the key", async () => {
  const [n, columns] = [2 ** 16, 64];
  // Half a level each, but for the row's largest.
  const values = Float32Array.from({ length: n }, (_, i) => i % columns === 0 ? 7 : 0.5);
  const masks: number[][] = [];
  for (const [seed, place] of [[1, [1, 2]], [1, [1, 3]], [1, [2, 2]], [2, [1, 2]]] as const) {
    const y = await run(gpu, () => {
      const keys = tensor(gpu, Uint32Array.from(randomKey(seed)), { shape: [1, 2] });
      const x = tensor(gpu, values, { shape: [1, n / columns, columns] });
      return quantizeRows(x, { levels: 7, keys, site: place });
    });
    masks.push(Array.from(y, (value) => value === 1 ? 1 : 0).filter((_, i) => i % columns !== 0));
  }
  const first = masks[0]!;
  const count = first.length;
  const perRow = columns - 1;
  const shifted = (by: number) => [...first.slice(by), ...first.slice(0, by)];
  for (const other of [...masks.slice(1), shifted(1), shifted(4), shifted(perRow)]) {
    // Both up with probability 1/4: within five standard errors, √(3/16/n) each.
    const both = other.reduce((sum, value, i) => sum + value * first[i]!, 0) / count;
    assert.ok(Math.abs(both - 0.25) < 5 * Math.sqrt(3 / 16 / count), `${both} instead of 0.25`);
  }
});

test("quantizeRows() passes NaN and infinity on to their row, and to no other", async () => {
  const values = Float32Array.of(1, NaN, 1, 2, -Infinity, 0, 3, 3);
  const y = await quantize(values, [2, 2, 2], { levels: 7, keys: keysOf(2) });
  assert.deepEqual([...y].map((value) => Number.isNaN(value)), [1, 1, 0, 0, 1, 1, 0, 0].map(Boolean));
});

test("quantizeRows() refuses levels and keys that do not fit", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [3, 2] });
  using keys = tensor(gpu, new Uint32Array(4), { shape: [2, 2] });
  for (const levels of [0, 128, 1.5, NaN]) {
    assert.throws(() => quantizeRows(x, { levels, keys, site }), { name: "RangeError", message: /1 to 127/ });
  }
  assert.throws(() => quantizeRows(x, { levels: 7, keys, site }), {
    name: "TypeError",
    message: /\[3, 2\] by keys \[2, 2\]/,
  });
});
