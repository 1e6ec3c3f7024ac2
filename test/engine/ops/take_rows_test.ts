import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { noRow, sum, takeRows, tensor } from "../../../src/engine/mod.ts";
import { sizeOf } from "../../../src/engine/shape.ts";
import { F64Array } from "../../reference/array.ts";
import { f32Arrays } from "../../support/arbitraries.ts";
import { bitsOf, evaluate, holds, run, testGpu } from "../harness.ts";

const gpu = await testGpu();

/** Rows of sources that are taken in some order, with gaps between; no source twice. */
const cases = fc.record({
  sources: fc.integer({ min: 1, max: 70 }),
  width: fc.constantFrom(1, 3, 4, 8, 17),
  gaps: fc.integer({ min: 0, max: 9 }),
}).chain(({ sources, width, gaps }) =>
  fc.tuple(
    f32Arrays([sources, width]),
    fc.shuffledSubarray([...new Array(sources).keys(), ...new Array<number>(gaps).fill(noRow)], {
      minLength: 1,
    }),
  )
);

/** Where each source went. */
function inverseOf(index: readonly number[], sources: number): Uint32Array {
  return Uint32Array.from({ length: sources }, (_, source) => {
    const at = index.indexOf(source);
    return at < 0 ? noRow : at;
  });
}

test("takeRows() puts rows where the index says, zeros elsewhere, and gradients back", async () => {
  await holds(cases, async ([x, index]) => {
    const [sources, width] = x.shape as [number, number];
    const { y, shape, dy, gradients: [dx] } = await evaluate(gpu, (t) =>
      takeRows(t, {
        index: tensor(gpu, Uint32Array.from(index)),
        inverse: tensor(gpu, inverseOf(index, sources)),
      }), { inputs: [x] });
    assert.deepEqual(shape, [index.length, width]);
    const row = (from: ArrayLike<number>, at: number) =>
      Array.from({ length: width }, (_, d) => at < 0 || at === noRow ? 0 : from[at * width + d]!);
    assert.deepEqual(bitsOf(y), bitsOf(Float32Array.from(index.flatMap((source) => row(x.data, source)))));
    const back = Array.from({ length: sources }, (_, source) => row(dy.data, index.indexOf(source)));
    assert.deepEqual(dx, Float32Array.from(back.flat()));
  });
});

test("takeRows() takes rows of several axes, of words of any type", async () => {
  const map = { index: tensor(gpu, Uint32Array.of(5, noRow, 0), { shape: [1, 3] }) };
  const inverse = tensor(gpu, Uint32Array.of(2, noRow, noRow, noRow, noRow, 0), { shape: [2, 3] });
  const ids = tensor(gpu, Uint32Array.of(7, 8, 9, 10, 11, 0x7fc00001), { shape: [2, 3] });
  const taken = takeRows(ids, { ...map, inverse });
  assert.deepEqual([taken.shape, taken.dtype, await taken.data()], [
    [1, 3],
    "u32",
    Uint32Array.of(0x7fc00001, 0, 7),
  ]);
  const states = tensor(gpu, Float32Array.from({ length: 24 }, (_, i) => i), { shape: [2, 3, 2, 2] });
  const moved = takeRows(states, { ...map, inverse });
  assert.deepEqual(moved.shape, [1, 3, 2, 2]);
  assert.deepEqual([...await moved.floats()], [20, 21, 22, 23, 0, 0, 0, 0, 0, 1, 2, 3]);
  assert.equal(sizeOf(moved.shape), 12);
});

test("takeRows() refuses rows and maps that don't fit", () => {
  const map = { index: tensor(gpu, Uint32Array.of(0)), inverse: tensor(gpu, Uint32Array.of(0, noRow)) };
  assert.throws(() => takeRows(tensor(gpu, new Float32Array(3)), map), {
    name: "TypeError",
    message: "Cannot take rows of [3]: expected [2] rows, as inverse has",
  });
  const x = tensor(gpu, new Float32Array(2));
  assert.throws(() => takeRows(x, { ...map, index: x }), { name: "TypeError", message: /expected u32/ });
});

test("takeRows() of padding rows adds nothing to a sum over rows", async () => {
  const x = F64Array.fromF32([2, 4], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const total = await run(gpu, () =>
    sum(
      takeRows(tensor(gpu, Float32Array.from(x.data), { shape: [2, 4] }), {
        index: tensor(gpu, Uint32Array.of(noRow, 1, noRow, 0)),
        inverse: tensor(gpu, Uint32Array.of(3, 1)),
      }),
      { axes: [0] },
    ));
  assert.deepEqual([...total], [6, 8, 10, 12]);
});
