import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mul } from "../../../src/engine/ops/elementwise.ts";
import { slice } from "../../../src/engine/ops/shape.ts";
import { addMatmul, addWeighted, assign, clone } from "../../../src/engine/ops/update.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { tidy } from "../../../src/engine/tidy.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul as referenceMatmul } from "../../reference/matmul.ts";
import { extents, f32Arrays, shapes } from "../../support/arbitraries.ts";
import { assertClose, F32_MIN_NORMAL, gammaN } from "../../support/compare.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { bitsOf, holds, run, testFamilies, upload } from "../harness.ts";

const families = await testFamilies();
const gpu = families.cpu!;
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);
const rows = (x: F64Array, from: number, to: number) => {
  const size = x.size / x.shape[0]!;
  return F64Array.from([to - from, ...x.shape.slice(1)], x.data.subarray(from * size, to * size));
};

test("assign() and clone() copy every bit, and the copy is its own", async () => {
  await holds(shapes({ maxSize: 500 }).chain((shape) => f32Arrays(shape)), async (values) => {
    using x = upload(gpu, values);
    using copy = clone(x);
    using target = tensor(gpu, new Float32Array(values.size), { shape: values.shape });
    assign(target, x);
    x.write(new Float32Array(values.size).fill(7));
    for (const each of [copy, target]) assert.deepEqual(bitsOf(await each.floats()), bitsOf(values.toF32()));
    assert.deepEqual(copy.shape, values.shape);
  }, 30);
  using words = tensor(gpu, Uint32Array.of(1, 0xffffffff));
  using copy = clone(words);
  assert.deepEqual(await copy.data(), Uint32Array.of(1, 0xffffffff));
});

test("assign() writes a view of a larger tensor, and nothing beside it", async () => {
  using x = tensor(gpu, new Float32Array(4 * 64), { shape: [4, 64] });
  tidy(() =>
    assign(slice(x, { start: 1, end: 3 }), tensor(gpu, new Float32Array(128).fill(2), { shape: [2, 64] }))
  );
  assert.ok((await x.floats()).every((value, i) => value === (i >= 64 && i < 192 ? 2 : 0)));
});

test("clone() and assign() stay outside the gradient graph", () => {
  tidy(() => {
    const x = tensor(gpu, [1, 2]).requireGrad();
    assert.equal(clone(mul(x, 2)).node, null);
    assert.ok(!clone(x).tracked);
  });
});

const sums = fc.record({
  members: fc.integer({ min: 0, max: 9 }),
  shape: fc.constantFrom([], [1], [7], [5, 13], [8, 8]),
  split: fc.nat(),
  seed: fc.nat(),
});

test("addWeighted() adds each member by its weight, and in several calls gives the bits of one, on every family", async () => {
  await holds(sums, async ({ members, shape, split, seed }) => {
    const [target, x, weights] = [
      random(shape, seed),
      random([members, ...shape], seed + 1),
      random([members], seed + 2),
    ];
    const cut = members === 0 ? 0 : split % (members + 1);
    let first: Float32Array | undefined;
    for (const family of Object.values(families)) {
      const add = (pieces: readonly (readonly [number, number])[]) =>
        run(family, () => {
          const sum = upload(family, target);
          for (const [from, to] of pieces) {
            addWeighted(sum, upload(family, rows(x, from, to)), upload(family, rows(weights, from, to)));
          }
          return sum;
        });
      const once = await add([[0, members]]);
      first ??= once;
      assert.deepEqual(bitsOf(once), bitsOf(first));
      assert.deepEqual(bitsOf(await add([[0, cut], [cut, members]])), bitsOf(once));
    }
    const weighted = (f: (value: number) => number) =>
      target.map((value, i) =>
        weights.data.reduce((sum, weight, c) => sum + f(weight * x.data[c * target.size + i]!), f(value))
      );
    // One multiply-add a member, fused or not.
    assertClose(first!, weighted((value) => value), {
      absolute: weighted(Math.abs).map((value) => gammaN(members + 1) * value).data,
    });
  }, 30);
});

test("addMatmul() adds the product, and in several calls gives the bits of one, on every family", async () => {
  const sizes = fc.record({
    m: extents(33),
    k: extents(65),
    n: extents(33),
    split: fc.nat(),
    seed: fc.nat(),
  });
  await holds(sizes, async ({ m, k, n, split, seed }) => {
    const [target, columns, b] = [random([m, n], seed), random([k, m], seed + 1), random([k, n], seed + 2)];
    const turned = (x: F64Array) => {
      const [from, to] = x.shape as [number, number];
      return F64Array.full([to, from]).map((_, i) => x.data[(i % from) * to + Math.floor(i / from)]!);
    };
    const cut = split % (k + 1);
    let first: Float32Array | undefined;
    for (const family of Object.values(families)) {
      const add = (pieces: readonly (readonly [number, number])[]) =>
        run(family, () => {
          const sum = upload(family, target);
          for (const [from, to] of pieces) {
            addMatmul(
              sum,
              upload(family, turned(rows(columns, from, to))),
              upload(family, rows(b, from, to)),
            );
          }
          return sum;
        });
      const once = await add([[0, k]]);
      first ??= once;
      assert.deepEqual(bitsOf(once), bitsOf(first));
      assert.deepEqual(bitsOf(await add([[0, cut], [cut, k]])), bitsOf(once));
    }
    const product = referenceMatmul(turned(columns), b);
    const magnitude = referenceMatmul(turned(columns).map(Math.abs), b.map(Math.abs));
    const bounds = magnitude.map((value, i) =>
      gammaN(k + 1) * (value + Math.abs(target.data[i]!)) + F32_MIN_NORMAL
    );
    assertClose(first!, product.map((value, i) => value + target.data[i]!), { absolute: bounds.data });
  }, 30);
});

test("assign(), addWeighted() and addMatmul() name the shapes that do not fit", () => {
  using a = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using b = tensor(gpu, new Float32Array(6), { shape: [3, 2] });
  using two = tensor(gpu, [1, 2]);
  using three = tensor(gpu, [1, 2, 3]);
  using words = tensor(gpu, Uint32Array.of(1, 2));
  assert.throws(() => assign(a, b), {
    name: "TypeError",
    message: /Cannot assign f32 \[3, 2\] to f32 \[2, 3\]/,
  });
  assert.throws(() => assign(two, words), {
    name: "TypeError",
    message: /Cannot assign u32 \[2\] to f32 \[2\]/,
  });
  assert.throws(() => addWeighted(three, a, three), {
    name: "TypeError",
    message: /Cannot add \[2, 3\] by weights \[3\] to \[3\]/,
  });
  assert.throws(() => addWeighted(two, a, two), {
    name: "TypeError",
    message: /to \[2\]: expected \[C, \.\.\.\] and \[C\]/,
  });
  assert.throws(() => addMatmul(a, a, b), {
    name: "TypeError",
    message: /\[2, 3\] times \[3, 2\] to \[2, 3\]/,
  });
});
