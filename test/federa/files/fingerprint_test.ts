import assert from "node:assert/strict";
import { test } from "node:test";
import { Linear, tensor, toHalf } from "../../../src/engine/mod.ts";
import { fingerprintOf } from "../../../src/federa/mod.ts";
import { testGpu } from "../../engine/harness.ts";

const gpu = await testGpu();
const rows = 100;

/** A layer [100, 4] with another number at a place of its weight or bias. */
function layer({ weight = -1, bias = -1, half = false } = {}): Linear {
  const w = Float32Array.from({ length: rows * 4 }, (_, i) => i === weight ? 0.5 : i % 7);
  const b = Float32Array.from({ length: rows }, (_, i) => i === bias ? 0.5 : i);
  const matrix = tensor(gpu, w, { shape: [rows, 4] });
  return new Linear(half ? toHalf(matrix) : matrix, tensor(gpu, b));
}

test("fingerprintOf() is the same for the same values and another for others", async () => {
  const mark = await fingerprintOf(layer());
  assert.match(mark, /^[0-9a-f]{64}$/);
  assert.equal(await fingerprintOf(layer()), mark);
  // The first and last row of a matrix are among those looked at, and all of a vector.
  for (const change of [{ weight: 1 }, { weight: 398 }, { bias: 37 }]) {
    assert.notEqual(await fingerprintOf(layer(change)), mark, JSON.stringify(change));
  }
  // Whole numbers are the same in half precision.
  assert.equal(await fingerprintOf(layer({ half: true })), mark);
});

test("fingerprintOf() tells shapes and names apart, and leaves nothing on the device", async () => {
  const values = new Float32Array(8).fill(1);
  const of = (out: number, width: number) =>
    new Linear(tensor(gpu, values, { shape: [out, width] }), undefined);
  const [one, other, tall] = [of(2, 4), of(4, 2), layer()];
  const before = gpu.stats().liveBytes;
  assert.notEqual(await fingerprintOf(one), await fingerprintOf(other));
  await fingerprintOf(tall);
  assert.equal(gpu.stats().liveBytes, before);
});
