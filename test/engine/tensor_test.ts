import assert from "node:assert/strict";
import { test } from "node:test";
import { empty, tensor } from "../../src/engine/tensor.ts";
import { testGpu } from "./harness.ts";

const gpu = await testGpu();

test("tensor() takes its element type from the data, and gives it back", async () => {
  for (
    const [data, dtype] of [[Float32Array.of(1.5, -0, NaN), "f32"], [
      Int32Array.of(-1, 2 ** 31 - 1, 0),
      "i32",
    ], [Uint32Array.of(1, 2 ** 32 - 1), "u32"]] as const
  ) {
    using x = tensor(gpu, data);
    assert.equal(x.dtype, dtype);
    assert.deepEqual(await x.data(), data);
  }
  using numbers = tensor(gpu, [1, 2], { dtype: "i32", shape: [2, 1] });
  assert.deepEqual(await numbers.data(), Int32Array.of(1, 2));
  assert.deepEqual([numbers.shape, numbers.ndim, numbers.size], [[2, 1], 2, 2]);
});

test("tensor() of no elements and of a scalar can be read", async () => {
  using none = tensor(gpu, [], { shape: [2, 0] });
  assert.equal((await none.data()).length, 0);
  using one = tensor(gpu, [7], { shape: [] });
  assert.equal(await one.item(), 7);
});

test("tensor() copies its data and shape", async () => {
  const [data, shape] = [Float32Array.of(1, 2), [2]];
  using x = tensor(gpu, data, { shape });
  data[0] = 9;
  shape[0] = 9;
  assert.deepEqual([...await x.data()], [1, 2]);
  assert.deepEqual(x.shape, [2]);
});

test("tensor() of a view of a larger array uploads the view", async () => {
  const whole = Float32Array.of(1, 2, 3, 4, 5);
  using x = tensor(gpu, whole.subarray(1, 4));
  assert.deepEqual([...await x.data()], [2, 3, 4]);
});

test("tensor() and empty() refuse data that do not fill the shape and broken extents", () => {
  assert.throws(() => tensor(gpu, [1, 2, 3], { shape: [2, 2] }), {
    name: "TypeError",
    message: "Cannot make a tensor of shape [2, 2] from 3 values: expected 4",
  });
  for (const shape of [[-1, -2], [1.5], [NaN]]) {
    assert.throws(() => empty(gpu, shape), { name: "RangeError", message: /non-negative integers/ });
  }
});

test("Tensor.write() overwrites, and refuses another size or type", async () => {
  using x = tensor(gpu, [1, 2]);
  x.write(Float32Array.of(3, 4));
  assert.deepEqual([...await x.data()], [3, 4]);
  assert.throws(() => x.write(Float32Array.of(1)), {
    name: "TypeError",
    message: "Cannot write Float32Array of 1 into f32 tensor of shape [2]",
  });
  assert.throws(() => x.write(Uint32Array.of(1, 2)), {
    name: "TypeError",
    message: /Cannot write Uint32Array/,
  });
});

test("Tensor.item() refuses several elements and what is not finite", async () => {
  using two = tensor(gpu, [1, 2]);
  await assert.rejects(two.item(), { name: "TypeError", message: /item of shape \[2\]/ });
  for (const value of [NaN, Infinity]) {
    using x = tensor(gpu, [value]);
    await assert.rejects(x.item(), { name: "NonFiniteError", message: new RegExp(`is ${value}`) });
  }
});

test("Tensor.floats() and requireGrad() refuse integers", async () => {
  using x = tensor(gpu, Uint32Array.of(1));
  await assert.rejects(x.floats(), { name: "TypeError", message: /dtype u32/ });
  assert.throws(() => x.requireGrad(), { name: "TypeError", message: /dtype u32/ });
});
