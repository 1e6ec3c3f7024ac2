import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keepLargest } from "../../../../src/engine/ops/compression/keep_largest.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { disposeAll, tidy } from "../../../../src/engine/tidy.ts";
import { f32Arrays, shapes } from "../../../support/arbitraries.ts";
import { bitsOf, holds, testGpu } from "../../harness.ts";

const gpu = await testGpu();

interface HostArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

async function keep(arrays: readonly HostArray[], counts: readonly number[]): Promise<Float32Array[]> {
  const before = gpu.stats().liveBytes;
  const kept = tidy(() => keepLargest(arrays.map(({ data, shape }) => tensor(gpu, data, { shape })), counts));
  const found = await Promise.all(kept.map((each) => each.floats()));
  disposeAll(kept);
  assert.equal(gpu.stats().liveBytes, before, "bytes alive after the operation");
  return found;
}

/** By sorting pairs of magnitude and index. */
function keepBySorting(arrays: readonly HostArray[], counts: readonly number[]): Float32Array[] {
  const result = arrays.map(({ data }) => new Float32Array(data.length));
  counts.forEach((count, c) => {
    const places = arrays.flatMap(({ data }, i) => {
      const size = data.length / counts.length;
      return Array.from({ length: size }, (_, j) => ({ i, at: c * size + j, value: data[c * size + j]! }));
    });
    const order = places.map((_, index) => index)
      .sort((a, b) => Math.abs(places[b]!.value) - Math.abs(places[a]!.value) || a - b);
    for (const index of order.slice(0, count)) {
      const { i, at, value } = places[index]!;
      result[i]![at] = value;
    }
  });
  return result;
}

const cases = fc.record({
  members: fc.constantFrom(1, 2, 3, 5),
  parts: fc.array(shapes({ maxSize: 700 }), { minLength: 1, maxLength: 4 }),
}).chain(({ members, parts }) => {
  const size = parts.reduce((sum, shape) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
  return fc.record({
    arrays: fc.tuple(...parts.map((own) =>
      f32Arrays([members, ...own]).map(({ shape, data }): HostArray => ({
        shape,
        data: Float32Array.from(data),
      }))
    )),
    counts: fc.array(fc.nat({ max: size }), { minLength: members, maxLength: members }),
  });
});

test("keepLargest() keeps what sorting keeps, of tiny, huge, denormal, equal and zero values", async () => {
  await holds(cases, async ({ arrays, counts }) => {
    const expected = keepBySorting(arrays, counts);
    (await keep(arrays, counts)).forEach((found, i) =>
      assert.deepEqual(bitsOf(found), bitsOf(expected[i]!), `tensor ${i}`)
    );
  });
});

test("keepLargest() breaks ties by the lowest index, over several tensors and pieces of them", async () => {
  // 20,011 equal magnitudes in three tensors, so that an index takes two digits and a member several workgroups.
  const sizes = [4096, 1, 15914];
  const arrays = sizes.map((size) => ({
    shape: [2, size],
    data: new Float32Array(2 * size).map((_, i) => i % 3 === 0 ? -2 : 2),
  }));
  arrays[2]!.data[15914 - 1] = 3;
  for (const counts of [[4096, 1], [4098, 20011], [12345, 0]]) {
    const expected = keepBySorting(arrays, counts);
    const found = await keep(arrays, counts);
    found.forEach((each, i) => assert.deepEqual(bitsOf(each), bitsOf(expected[i]!)));
    const kept = found.map((each) => each.filter((value) => value !== 0).length);
    assert.equal(kept.reduce((sum, value) => sum + value), counts[0]! + counts[1]!);
  }
});

test("keepLargest() keeps NaN and infinity before all numbers", async () => {
  const data = Float32Array.of(1, NaN, 3e38, -Infinity);
  const [found] = await keep([{ shape: [1, 4], data }], [2]);
  assert.deepEqual([...found!], [0, NaN, 0, -Infinity]);
});

test("keepLargest() takes empty tensors, and none", async () => {
  const empty = { shape: [2, 0], data: new Float32Array(0) };
  assert.deepEqual(await keep([empty, { shape: [2], data: Float32Array.of(1, 2) }], [1, 0]), [
    new Float32Array(0),
    Float32Array.of(1, 0),
  ]);
  assert.deepEqual(await keep([], []), []);
});

test("keepLargest() refuses counts that do not fit", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  assert.throws(() => keepLargest([x], [1]), { name: "TypeError", message: /\[2, 3\]: expected \[1, …\]/ });
  for (const count of [-1, 4, 0.5, NaN]) {
    assert.throws(() => keepLargest([x], [1, count]), { name: "RangeError", message: /from 0 to 3/ });
  }
});
