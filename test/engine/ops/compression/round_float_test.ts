import assert from "node:assert/strict";
import { test } from "node:test";
import { roundFloat, type ShortFloat } from "../../../../src/engine/ops/compression/round_float.ts";
import { tensor } from "../../../../src/engine/tensor.ts";
import { toFloat32 } from "../../../../src/models/weights/dtype.ts";
import { bitsOf, run, testGpu } from "../../harness.ts";

const gpu = await testGpu();
const round = (values: Float32Array, format: ShortFloat) =>
  run(gpu, () => roundFloat(tensor(gpu, values), format));

/** Every finite value of a format that isn't negative, ascending; made by the reader of weight files. */
function valuesOf(format: ShortFloat): Float32Array {
  const data = Uint16Array.from({ length: format === "f16" ? 0x7c00 : 0x7f80 }, (_, bits) => bits);
  return toFloat32({ dtype: format === "f16" ? "F16" : "BF16", shape: [data.length], data });
}

for (const format of ["f16", "bf16"] as const) {
  test(`roundFloat() to ${format} takes the nearest of all its values, and of two the even one`, async () => {
    const values = valuesOf(format);
    // Between two neighbours lies their middle, which f32 holds exactly; one step of f32 away from it the nearest is unique.
    const middles = values.slice(0, -1).map((value, i) => (value + values[i + 1]!) / 2);
    const stepped = (by: number) => new Float32Array(bitsOf(middles).map((bits) => bits + by).buffer);
    const negated = (all: Float32Array) => all.map((value) => -value);
    assert.deepEqual(await round(values, format), values);
    assert.deepEqual(await round(negated(values), format), negated(values));
    assert.deepEqual(await round(middles, format), middles.map((_, i) => values[i + i % 2]!));
    assert.deepEqual(await round(stepped(-1), format), values.slice(0, -1));
    assert.deepEqual(await round(stepped(1), format), values.slice(1));
    assert.deepEqual(await round(negated(stepped(1)), format), negated(values.slice(1)));
  });
}

test("roundFloat() never makes a number infinite, and leaves infinity and NaN as they are", async () => {
  const largest = 3.4028234663852886e38;
  const values = Float32Array.of(65519, 65520, 65536, -largest, largest, 1e-45, -0, Infinity, -Infinity);
  const half = await round(values, "f16");
  assert.deepEqual([...half], [65504, 65504, 65504, -65504, 65504, 0, -0, Infinity, -Infinity]);
  const brain = await round(values, "bf16");
  const largestBrain = 255 * 2 ** 120;
  assert.deepEqual(
    [...brain],
    [65536, 65536, 65536, -largestBrain, largestBrain, 0, -0, Infinity, -Infinity],
  );
  for (const format of ["f16", "bf16"] as const) {
    const [nan] = await round(Float32Array.of(NaN), format);
    assert.ok(Number.isNaN(nan));
  }
});

test("roundFloat() refuses integers", () => {
  using x = tensor(gpu, Uint32Array.of(1));
  assert.throws(() => roundFloat(x, "f16"), { name: "TypeError", message: /Cannot round .* u32/ });
});
