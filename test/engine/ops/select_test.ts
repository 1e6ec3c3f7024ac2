import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { gather, scatter, where } from "../../../src/engine/ops/select.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { tidy } from "../../../src/engine/tidy.ts";
import { F64Array, sumToShape } from "../../reference/array.ts";
import { where as referenceWhere, whereGradient } from "../../reference/elementwise.ts";
import { gather as referenceGather, gatherGradient } from "../../reference/shape.ts";
import { broadcastPairs, f32Arrays, integerArrays, shapes } from "../../support/arbitraries.ts";
import { assertClose, gammaN } from "../../support/compare.ts";
import { evaluate, holds, testGpu, upload, uploadIntegers } from "../harness.ts";

const gpu = await testGpu();

test("where() broadcasts, and it and its gradients agree with the oracle", async () => {
  const cases = broadcastPairs({ maxSize: 600 }).chain(([a, b]) => {
    const longer = a.length > b.length ? a : b;
    return fc.tuple(
      f32Arrays(a),
      f32Arrays(b),
      f32Arrays(longer, { classes: ["zero", "ordinary", "denormal"] }),
      fc.boolean(),
    );
  });
  await holds(cases, async ([a, b, values, round]) => {
    // Rounding makes about a third of the conditions 0; a denormal one may be flushed, so it's made 0.
    const condition = values.map((value) => round || Math.abs(value) < 2 ** -126 ? Math.round(value) : value);
    const { y, shape, dy, gradients } = await evaluate(
      gpu,
      (then, otherwise) => where(upload(gpu, condition), { then, otherwise }),
      { inputs: [a, b] },
    );
    const expected = referenceWhere(condition, a, b);
    assert.deepEqual(shape, expected.shape);
    assertClose(y, expected, {});
    const wanted = whereGradient(condition, a, b, dy);
    [a, b].forEach((side, i) => {
      const bounds = sumToShape(dy.map((value) => gammaN(dy.size / side.size) * Math.abs(value)), side.shape);
      assertClose(gradients[i]!, wanted[i]!, { absolute: bounds.data });
    });
  });
});

test("where() keeps the infinities of the side that is not taken out", async () => {
  const { y, gradients } = await evaluate(
    gpu,
    (then, otherwise) => where(tensor(gpu, [1, 0]), { then, otherwise }),
    {
      inputs: [F64Array.from([2], [1, Infinity]), F64Array.from([2], [NaN, 2])],
      dy: () => F64Array.from([2], [3, 4]),
    },
  );
  assert.deepEqual([...y], [1, 2]);
  assert.deepEqual(gradients.map((each) => [...each]), [[3, 0], [0, 4]]);
});

test("gather() and its gradient agree with the oracle", async () => {
  const cases = shapes({ minRank: 1, maxSize: 500 }).chain((shape) =>
    fc.tuple(fc.nat({ max: shape.length - 1 }), fc.constantFrom(0, 1, 3, 8)).chain(([axis, picks]) =>
      fc.tuple(f32Arrays(shape), integerArrays(shape.with(axis, picks), shape[axis]!), fc.constant(axis))
    )
  );
  await holds(cases, async ([x, index, axis]) => {
    const { y, shape, dy, gradients: [dx] } = await evaluate(
      gpu,
      (t) => gather(t, uploadIntegers(gpu, index), { axis }),
      { inputs: [x] },
    );
    assert.deepEqual(shape, index.shape);
    assertClose(y, referenceGather(x, index, axis), {});
    const magnitudes = gatherGradient(x.shape, index, axis, dy.map(Math.abs));
    assertClose(dx!, gatherGradient(x.shape, index, axis, dy), {
      absolute: magnitudes.map((v) => gammaN(index.shape[axis]!) * v).data,
    });
  });
});

test("gather() of an index outside the axis gives NaN, so that it is seen, and no gradient", async () => {
  const x = F64Array.fromF32([2, 2], [1, 2, 3, 4]);
  const { y, gradients: [dx] } = await evaluate(
    gpu,
    (t) => gather(t, tensor(gpu, Uint32Array.of(1, 2, 0xffffffff, 0), { shape: [2, 2] })),
    { inputs: [x], dy: (shape) => F64Array.full(shape, 1) },
  );
  assert.deepEqual([...y], [3, NaN, NaN, 2]);
  assert.deepEqual([...dx!], [0, 1, 1, 0]);
});

test("scatter() puts values at their places to the bit, sums those of one place in order, and leaves out the rest", () =>
  holds(
    shapes({ minRank: 1, maxSize: 500 }).chain((shape) =>
      fc.tuple(fc.nat({ max: shape.length - 1 }), fc.constantFrom(1, 3, 8)).chain(([axis, length]) =>
        fc.tuple(f32Arrays(shape), integerArrays(shape, length + 1), fc.constant({ axis, length }))
      )
    ),
    async ([x, index, { axis, length }]) => {
      using y = tidy(() => scatter(upload(gpu, x), uploadIntegers(gpu, index), { axis, length }));
      assert.deepEqual(y.shape, x.shape.with(axis, length));
      // Index `length` is outside: the oracle has a row more.
      const wanted = gatherGradient(x.shape.with(axis, length + 1), index, axis, x);
      const magnitudes = gatherGradient(x.shape.with(axis, length + 1), index, axis, x.map(Math.abs));
      const inside = ({ data }: F64Array) => {
        const inner = x.shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
        return data.filter((_, at) => Math.floor(at / inner) % (length + 1) < length);
      };
      assertClose(await y.floats(), F64Array.from(y.shape, inside(wanted)), {
        absolute: inside(magnitudes.map((v) => gammaN(x.shape[axis]!) * v)),
      });
    },
  ));

test("scatter() refuses an index of another shape", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using narrow = tensor(gpu, Uint32Array.of(0, 0), { shape: [1, 2] });
  assert.throws(() => scatter(x, narrow, { length: 4 }), {
    name: "TypeError",
    message: /Cannot scatter \[2, 3\] by \[1, 2\]/,
  });
});

test("gather() refuses an index of another shape or type", () => {
  using x = tensor(gpu, new Float32Array(6), { shape: [2, 3] });
  using narrow = tensor(gpu, Uint32Array.of(0, 0), { shape: [1, 2] });
  assert.throws(() => gather(x, narrow), { name: "TypeError", message: /\[2, 3\] by \[1, 2\] along axis 0/ });
  using floats = tensor(gpu, [0, 0, 0], { shape: [1, 3] });
  assert.throws(() => gather(x, floats), { name: "TypeError", message: /expected u32/ });
});
