import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toFloat32 } from "../../../src/models/weights/dtype.ts";

const f16 = (...bits: number[]): Float32Array =>
  toFloat32({ dtype: "F16", shape: [bits.length], data: Uint16Array.from(bits) });
const bf16 = (...bits: number[]): Float32Array =>
  toFloat32({ dtype: "BF16", shape: [bits.length], data: Uint16Array.from(bits) });

describe("toFloat32()", () => {
  it("toFloat32() widens the landmarks of binary16", () => {
    // Zero, smallest and largest subnormal, smallest normal, largest below 1, 1, largest, infinity.
    assert.deepEqual(
      f16(0x0000, 0x0001, 0x03ff, 0x0400, 0x3bff, 0x3c00, 0x7bff, 0x7c00),
      Float32Array.of(0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1 - 2 ** -11, 1, 65504, Infinity),
    );
    assert.deepEqual(f16(0x8000, 0xc000, 0xfc00), Float32Array.of(-0, -2, -Infinity));
    assert.deepEqual(f16(0x7c01, 0x7e00, 0xffff), Float32Array.of(NaN, NaN, NaN));
  });

  it("toFloat32() gives every finite binary16 its place in the order", () => {
    const positive = f16(...Array.from({ length: 0x7c01 }, (_, bits) => bits));
    for (let i = 1; i < positive.length; i++) {
      assert.ok(positive[i]! > positive[i - 1]!, `0x${i.toString(16)}`);
    }
    // Within a binade the step is constant: 2^(e - 25) for exponent field e.
    for (let i = 1; i < 0x7c00; i++) {
      assert.equal(positive[i]! - positive[i - 1]!, 2 ** (Math.max(1, (i - 1) >> 10) - 25));
    }
  });

  it("toFloat32() puts a bfloat16 into the upper half of a float32", () => {
    assert.deepEqual(
      bf16(0x0000, 0x8000, 0x3f80, 0xc000, 0x4049, 0x0001, 0xff80, 0x7fc0),
      Float32Array.of(0, -0, 1, -2, 3.140625, 2 ** -133, -Infinity, NaN),
    );
  });

  it("toFloat32() returns float32 as it is and refuses what would be rounded", () => {
    const data = Float32Array.of(1, 2);
    assert.equal(toFloat32({ dtype: "F32", shape: [2], data }), data);
    assert.throws(() => toFloat32({ dtype: "F64", shape: [1], data: Float64Array.of(0.1) }), {
      name: "TypeError",
      message: /got F64/,
    });
    assert.throws(() => toFloat32({ dtype: "I32", shape: [1], data: Int32Array.of(1) }), TypeError);
  });
});
