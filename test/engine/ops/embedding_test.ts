import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toInt8 } from "../../../src/engine/ops/compression/int8.ts";
import { embedding } from "../../../src/engine/ops/embedding.ts";
import { tensor } from "../../../src/engine/tensor.ts";
import { F64Array } from "../../reference/array.ts";
import { embedding as reference } from "../../reference/embedding.ts";
import { int8Values } from "../../reference/int8.ts";
import { f32Arrays, integerArrays, shapes } from "../../support/arbitraries.ts";
import { assertClose } from "../../support/compare.ts";
import { bitsOf, evaluate, holds, run, testGpu, upload, uploadIntegers } from "../harness.ts";

const gpu = await testGpu();

/** What the kernel promises: for each row of the table the float32 sum of its gradients in the order of the ids. */
function orderedGradient(shape: readonly number[], ids: F64Array, dy: F64Array): Float32Array {
  const [vocabulary, width] = shape.slice(-2) as [number, number];
  const members = shape.length === 3 ? shape[0]! : 1;
  const result = new Float32Array(members * vocabulary * width);
  ids.data.forEach((id, i) => {
    if (id >= vocabulary) return;
    const row = (Math.floor(i / (ids.size / members)) * vocabulary + id) * width;
    for (let d = 0; d < width; d++) result[row + d] = result[row + d]! + dy.data[i * width + d]!;
  });
  return result;
}

/** A shared table with ids of any shape, or one for each member of the ids' first axis; few ids, so many repeat. */
const cases = fc.record({
  ids: shapes({ minRank: 1, maxRank: 3, maxSize: 200 }),
  vocabulary: fc.constantFrom(1, 2, 7, 65),
  width: fc.constantFrom(1, 3, 8, 17),
  perMember: fc.boolean(),
})
  .chain(({ ids, vocabulary, width, perMember }) =>
    fc.tuple(
      f32Arrays([...(perMember ? [ids[0]!] : []), vocabulary, width]),
      integerArrays(ids, vocabulary),
    )
  );

test("embedding() of shared and per-member tables agrees with the oracle; its gradient adds in the order of the ids", async () => {
  await holds(cases, async ([table, ids]) => {
    const { y, shape, dy, gradients: [dTable] } = await evaluate(
      gpu,
      (t) => embedding(t, uploadIntegers(gpu, ids)),
      { inputs: [table] },
    );
    assert.deepEqual(shape, [...ids.shape, table.shape.at(-1)!]);
    assertClose(y, reference(table, ids), {});
    assert.deepEqual(bitsOf(dTable!), bitsOf(orderedGradient(table.shape, ids, dy)));
  });
});

test("embedding() of many equal ids adds every gradient", async () => {
  const n = 3000;
  const ids = F64Array.full([n]).map((_, i) => i % 2);
  const { dy, gradients: [dTable] } = await evaluate(gpu, (t) => embedding(t, uploadIntegers(gpu, ids)), {
    inputs: [F64Array.full([2, 3])],
  });
  assert.deepEqual(bitsOf(dTable!), bitsOf(orderedGradient([2, 3], ids, dy)));
});

test("embedding() of an id outside the vocabulary gives NaN, so that it is seen, and no gradient", async () => {
  const ids = F64Array.from([4], [1, 2, 0xffffffff, 1]);
  const table = F64Array.fromF32([2, 2], [1, 2, 3, 4]);
  const { y, gradients: [dTable] } = await evaluate(gpu, (t) => embedding(t, uploadIntegers(gpu, ids)), {
    inputs: [table],
    dy: (shape) => F64Array.full(shape, 1),
  });
  assert.deepEqual([...y], [3, 4, NaN, NaN, NaN, NaN, 3, 4]);
  assert.deepEqual([...dTable!], [0, 0, 2, 2]);
});

test("embedding() of a table in 8 bits looks up the values that are stored, and NaN outside the vocabulary", async () => {
  const tables = fc.tuple(fc.constantFrom(1, 7, 65), fc.constantFrom(1, 3, 8, 17)).chain((shape) =>
    fc.tuple(f32Arrays(shape), integerArrays([3, 5], shape[0] + 1))
  );
  await holds(tables, async ([table, ids]) => {
    const y = await run(gpu, () => embedding(toInt8(upload(gpu, table)), uploadIntegers(gpu, ids)));
    const { data } = int8Values(table);
    const [rows, width] = table.shape as [number, number];
    const expected = Float32Array.from({ length: y.length }, (_, i) => {
      const id = ids.data[Math.floor(i / width)]!;
      return id < rows ? data[id * width + i % width]! + 0 : NaN;
    });
    assert.deepEqual([...y], [...expected]);
  });
});

test("embedding() of no ids is empty and gives no gradient", async () => {
  const { y, shape, gradients: [dTable] } = await evaluate(
    gpu,
    (t) => embedding(t, uploadIntegers(gpu, F64Array.full([0, 5]))),
    {
      inputs: [F64Array.full([3, 2], 1)],
    },
  );
  assert.deepEqual(shape, [0, 5, 2]);
  assert.deepEqual([y.length, [...dTable!]], [0, [0, 0, 0, 0, 0, 0]]);
});

test("embedding() refuses float ids, and tables of another number of members", () => {
  using table = tensor(gpu, new Float32Array(12), { shape: [2, 3, 2] });
  using ids = tensor(gpu, Uint32Array.of(0, 1, 2), { shape: [3, 1] });
  assert.throws(() => embedding(table, ids), {
    name: "TypeError",
    message: /ids \[3, 1\] in a table \[2, 3, 2\]/,
  });
  using floats = tensor(gpu, [0]);
  assert.throws(() => embedding(table, floats), { name: "TypeError", message: /expected u32/ });
});
