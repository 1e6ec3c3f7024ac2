import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fill, full, ones, zeros } from "../../../src/engine/ops/create.ts";
import { mul, neg } from "../../../src/engine/ops/elementwise.ts";
import { broadcastTo, concat, permute, reshape, slice, transpose } from "../../../src/engine/ops/shape.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { F64Array, sizeOf } from "../../reference/array.ts";
import * as reference from "../../reference/shape.ts";
import { broadcastPairs, f32Arrays, shapes } from "../../support/arbitraries.ts";
import { assertClose, gammaN } from "../../support/compare.ts";
import { evaluate, holds, run, testGpu } from "../harness.ts";

const gpu = await testGpu();
const arrays = (minRank: number, maxRank = 4) =>
  shapes({ minRank, maxRank, maxSize: 1500 }).chain((shape) => f32Arrays(shape));

test("reshape() keeps the elements, and its gradient goes back", async () => {
  await holds(arrays(0), async (x) => {
    for (const shape of [[x.size], [-1], [1, x.size, 1], [...x.shape, 1]]) {
      const { y, shape: found, dy, gradients: [dx] } = await evaluate(gpu, (t) => reshape(t, shape), {
        inputs: [x],
      });
      assert.deepEqual(found, shape.map((extent) => extent === -1 ? x.size : extent));
      assertClose(y, x, {});
      assertClose(dx!, dy, {});
    }
  }, 25);
});

test("reshape() is a view: it allocates nothing and dispatches nothing", () => {
  using x = tensor(gpu, new Float32Array(6));
  const before = gpu.stats();
  using y = reshape(x, [2, -1]);
  const { created, dispatches, liveBytes } = gpu.stats();
  assert.deepEqual(y.shape, [2, 3]);
  assert.deepEqual([created, dispatches, liveBytes], [before.created, before.dispatches, before.liveBytes]);
});

test("reshape() names both shapes where the sizes differ", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  for (const shape of [[4], [-1, 4], [-1, -1], [2.5, -1], [-1, 0]]) {
    assert.throws(
      () => reshape(x, shape),
      { name: "TypeError", message: /Cannot reshape \[2, 3\] to/ },
      String(shape),
    );
  }
});

test("permute() and its gradient agree with the oracle", async () => {
  const cases = shapes({ maxRank: 6, maxSize: 1500 }).chain((shape) =>
    fc.tuple(f32Arrays(shape), fc.shuffledSubarray(shape.map((_, axis) => axis), { minLength: shape.length }))
  );
  await holds(cases, async ([x, order]) => {
    const expected = reference.permute(x, order);
    const { y, shape, dy, gradients: [dx] } = await evaluate(gpu, (t) => permute(t, order), { inputs: [x] });
    assert.deepEqual(shape, expected.shape);
    assertClose(y, expected, {});
    assertClose(dx!, reference.permuteGradient(order, dy), {});
  });
});

test("transpose() swaps the last two axes", async () => {
  await holds(arrays(2), async (x) => {
    const { y, shape, dy, gradients: [dx] } = await evaluate(gpu, transpose, { inputs: [x] });
    assert.deepEqual(shape, reference.transpose(x).shape);
    assertClose(y, reference.transpose(x), {});
    assertClose(dx!, reference.transpose(dy), {});
  }, 30);
});

test("permute() refuses what is no permutation, and more than six separate axes", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  for (const order of [[0], [0, 0], [0, 1, 2]]) assert.throws(() => permute(x, order));
  using wide = tensor(gpu, new Float32Array(2 ** 7), { shape: [2, 2, 2, 2, 2, 2, 2] });
  assert.throws(() => permute(wide, [6, 5, 4, 3, 2, 1, 0]), {
    name: "TypeError",
    message: /more than 6 axes/,
  });
});

test("slice() along any axis and its gradient agree with the oracle", async () => {
  const cases = arrays(1).chain((x) =>
    fc.nat({ max: x.shape.length - 1 }).chain((axis) =>
      fc.tuple(fc.nat({ max: x.shape[axis]! }), fc.nat({ max: x.shape[axis]! }), fc.boolean()).map((
        [p, q, negative],
      ) => ({
        x,
        at: axis,
        axis: negative ? axis - x.shape.length : axis,
        start: Math.min(p, q),
        end: Math.max(p, q),
        copy: (p + q) % 2 === 0,
      }))
    )
  );
  await holds(cases, async ({ x, at, ...options }) => {
    const { start, end } = options;
    const starts = x.shape.map((_, i) => i === at ? start : 0);
    const ends = x.shape.with(at, end);
    const { y, shape, dy, gradients: [dx] } = await evaluate(gpu, (t) => slice(t, options), {
      inputs: [x],
    });
    assert.deepEqual(shape, x.shape.with(at, end - start));
    assertClose(y, reference.slice(x, starts, ends), {});
    assertClose(dx!, reference.sliceGradient(x.shape, starts, ends, dy), {});
  });
});

test("slice() that is to copy shares no memory with what it cuts", async () => {
  using x = tensor(gpu, Float32Array.from({ length: 1024 }, (_, i) => i), { shape: [4, 256] });
  using view = slice(x, { start: 1, end: 2 });
  using copied = slice(x, { start: 1, end: 2, copy: true });
  assert.deepEqual([view.storage === x.storage, copied.storage === x.storage], [true, false]);
  assert.deepEqual(await copied.data(), await view.data());
});

test("slice() of a slice reads, writes and computes at its own offset", async () => {
  const n = 4096;
  using x = tensor(gpu, Float32Array.from({ length: n }, (_, i) => i), { shape: [16, 256] });
  using outer = slice(x, { start: 3, end: 13 });
  using inner = slice(outer, { start: 2, end: 5 });
  assert.equal(inner.offset, 5 * 256, "a view where the adapter's alignment allows it");
  const expected = Array.from({ length: 3 * 256 }, (_, i) => 5 * 256 + i);
  assert.deepEqual([...await inner.floats()], expected);
  assert.deepEqual([...await run(gpu, () => neg(inner))], expected.map((value) => -value));
  using row = slice(inner, { start: 1, end: 2 });
  row.write(new Float32Array(256).fill(-1));
  const after = await x.floats();
  assert.ok(after.every((value, i) => value === (i >= 6 * 256 && i < 7 * 256 ? -1 : i)));
});

test("slice() of equal parts of one buffer gives each its own elements", async () => {
  using x = tensor(gpu, Float32Array.from({ length: 8 * 64 }, (_, i) => i), { shape: [8, 64] });
  for (let row = 0; row < 8; row++) {
    const y = await run(gpu, () => neg(slice(x, { start: row, end: row + 1 })));
    assert.deepEqual([...y], Array.from({ length: 64 }, (_, i) => -(row * 64 + i)));
  }
});

test("slice() of an unaligned start is a copy with the same elements", async () => {
  using x = tensor(gpu, Float32Array.from({ length: 15 }, (_, i) => i), { shape: [5, 3] });
  assert.deepEqual([...await run(gpu, () => mul(slice(x, { start: 1, end: 3 }), 2))], [6, 8, 10, 12, 14, 16]);
});

test("slice() refuses bounds that leave the axis", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  for (const [start, end] of [[-1, 1], [2, 1], [0, 4], [0.5, 2]] as const) {
    assert.throws(() => slice(x, { axis: 1, start, end }), {
      name: "RangeError",
      message: /expected 0 <= start <= end <= 3/,
    });
  }
});

test("concat() along any axis and its gradients agree with the oracle", async () => {
  const cases = shapes({ minRank: 1, maxSize: 400 }).chain((shape) =>
    fc.tuple(
      fc.nat({ max: shape.length - 1 }),
      fc.array(fc.constantFrom(0, 1, 2, 5, 17), { minLength: 1, maxLength: 4 }),
    )
      .chain(([axis, lengths]) =>
        fc.tuple(fc.constant(axis), fc.tuple(...lengths.map((length) => f32Arrays(shape.with(axis, length)))))
      )
  );
  await holds(cases, async ([axis, parts]) => {
    const expected = reference.concat(parts, axis);
    const { y, shape, dy, gradients } = await evaluate(gpu, (...each) => concat(each, { axis }), {
      inputs: parts,
    });
    assert.deepEqual(shape, expected.shape);
    assertClose(y, expected, {});
    const wanted = reference.concatGradient(parts.map((part) => part.shape), axis, dy);
    gradients.forEach((gradient, i) => assertClose(gradient, wanted[i]!, {}));
  });
});

test("concat() keeps integers, and refuses nothing, mixed types and shapes that do not fit", async () => {
  using a = tensor(gpu, Uint32Array.of(1, 0xffffffff), { shape: [1, 2] });
  using b = tensor(gpu, [1, 2, 3], { shape: [1, 3] });
  using joined = concat([a, a]);
  assert.deepEqual([...await joined.data()], [1, 0xffffffff, 1, 0xffffffff]);
  assert.throws(() => concat([]), { name: "TypeError", message: /Cannot concat no tensors/ });
  assert.throws(() => concat([a, b], { axis: 1 }), { name: "TypeError" });
  assert.throws(() => concat([b, tensor(gpu, [1, 2], { shape: [1, 2] })], { axis: 0 }), {
    name: "TypeError",
    message: /\[1, 3\] and \[1, 2\] along axis 0/,
  });
});

test("broadcastTo() repeats, and its gradient sums", async () => {
  await holds(broadcastPairs({ maxSize: 1000 }), async ([small, other]) => {
    const ndim = Math.max(small.length, other.length);
    const shape = Array.from({ length: ndim }, (_, i) => {
      const [p, q] = [small, other].map((each) => each[i - ndim + each.length] ?? 1);
      return p === 1 ? q! : p!;
    });
    const x = F64Array.fromF32(small, Float64Array.from({ length: sizeOf(small) }, (_, i) => Math.sin(i)));
    const { y, shape: found, dy, gradients: [dx] } = await evaluate(gpu, (t) => broadcastTo(t, shape), {
      inputs: [x],
    });
    assert.deepEqual(found, shape);
    assertClose(y, reference.broadcastTo(x, shape), {});
    const magnitudes = reference.broadcastToGradient(small, dy.map(Math.abs));
    assertClose(dx!, reference.broadcastToGradient(small, dy), {
      absolute: magnitudes.map((v) => gammaN(dy.size) * v).data,
    });
  });
});

test("broadcastTo() refuses a shape that does not hold the tensor", () => {
  using x = tensor(gpu, [1, 2]);
  assert.throws(() => broadcastTo(x, [3]), { name: "TypeError" });
  assert.throws(() => broadcastTo(x, []), { name: "TypeError", message: /Cannot broadcast \[2\] to \[\]/ });
});

test("full(), zeros(), ones() and fill() set every element and no other", async () => {
  for (const shape of [[], [0], [1], [63], [65], [3, 5, 7], [2 ** 22 + 5]]) {
    assert.ok((await run(gpu, () => full(gpu, shape, -1.5))).every((value) => value === -1.5));
    assert.ok((await run(gpu, () => zeros(gpu, shape))).every((value) => Object.is(value, 0)));
    assert.ok((await run(gpu, () => ones(gpu, shape))).every((value) => value === 1));
  }
  using x = tensor(gpu, new Float32Array(1024).fill(7), { shape: [4, 256] });
  using row = slice(x, { start: 1, end: 2 });
  fill(row, 2);
  assert.ok((await x.floats()).every((value, i) => value === (i >= 256 && i < 512 ? 2 : 7)));
  using words = tensor(gpu, Uint32Array.of(1, 2, 3));
  fill(words, 0xfffffffe);
  assert.deepEqual([...await words.data()], [0xfffffffe, 0xfffffffe, 0xfffffffe]);
});
