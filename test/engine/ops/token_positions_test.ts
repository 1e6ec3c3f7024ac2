import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor, tokenPositions } from "../../../src/engine/mod.ts";
import { holds, testGpu } from "../harness.ts";

const gpu = await testGpu();

test("tokenPositions() counts from padding + 1, and leaves padding where it is", async () => {
  using ids = tensor(gpu, Uint32Array.of(0, 9, 5, 2, 1, 1, 1, 0, 1, 7, 2, 1), { shape: [2, 6] });
  using positions = tokenPositions(ids, { padding: 1 });
  assert.deepEqual(positions.shape, [2, 6]);
  assert.deepEqual(await positions.data(), Uint32Array.of(2, 3, 4, 5, 1, 1, 1, 2, 1, 3, 4, 1));
});

test("tokenPositions() of any shape equals a count of the tokens up to each", async () => {
  const cases = fc.record({
    leading: fc.array(fc.integer({ min: 0, max: 13 }), { maxLength: 2 }),
    length: fc.integer({ min: 0, max: 70 }),
    padding: fc.constantFrom(0, 1, 3),
    seed: fc.nat(),
  });
  await holds(cases, async ({ leading, length, padding, seed }) => {
    const shape = [...leading, length];
    const values = Uint32Array.from(
      { length: shape.reduce((product, extent) => product * extent, 1) },
      (_, i) => ((i + seed) * 2654435761 >>> 7) % 4,
    );
    using ids = tensor(gpu, values, { shape });
    using positions = tokenPositions(ids, { padding });
    const expected = values.map((id, i) => {
      const text = values.slice(i - i % length, i + 1);
      return id === padding ? padding : padding + text.filter((each) => each !== padding).length;
    });
    assert.deepEqual(positions.shape, shape);
    assert.deepEqual(await positions.data(), expected);
  }, 30);
});

test("tokenPositions() refuses floats and scalars", () => {
  assert.throws(() => tokenPositions(tensor(gpu, [1, 2]), { padding: 1 }), TypeError);
  assert.throws(
    () => tokenPositions(tensor(gpu, Uint32Array.of(1), { shape: [] }), { padding: 1 }),
    TypeError,
  );
});
