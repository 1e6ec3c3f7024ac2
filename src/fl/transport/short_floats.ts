/** Adding and taking away this number rounds a smaller one to the nearest integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

/** The bits of float32 numbers. */
export function bitsOf(data: Float32Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}

/**
 * The bits of finite numbers in IEEE half precision: the nearest, ties to even; beyond 65504 that number with its sign.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(toF16(Float32Array.of(1, -(2 ** -24), 1e6)), Uint16Array.of(0x3c00, 0x8001, 0x7bff));
 * ```
 */
export function toF16(data: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = bitsOf(data);
  const halves = new Uint16Array(data.length);
  for (let i = 0; i < halves.length; i++) {
    const magnitude = bits[i]! & 0x7fffffff;
    // Below 2^-14 halves are the multiples of 2^-24.
    const half = magnitude < 0x38800000
      ? Math.abs(data[i]!) * 2 ** 24 + ROUNDER - ROUNDER
      : Math.min((nearest(magnitude, 13) >>> 13) - (112 << 10), 0x7bff);
    halves[i] = ((bits[i]! >>> 16) & 0x8000) | half;
  }
  return halves;
}

/**
 * The bits of finite numbers in bfloat16: the nearest, ties to even; beyond the largest that one with its sign.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(toBf16(Float32Array.of(1, -2)), Uint16Array.of(0x3f80, 0xc000));
 * ```
 */
export function toBf16(data: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = bitsOf(data);
  const brains = new Uint16Array(data.length);
  for (let i = 0; i < brains.length; i++) {
    const magnitude = Math.min(nearest(bits[i]! & 0x7fffffff, 16) >>> 16, 0x7f7f);
    brains[i] = ((bits[i]! >>> 16) & 0x8000) | magnitude;
  }
  return brains;
}

/** Adds to the bits of a magnitude what rounds it when the last `count` of them are cut off. */
function nearest(magnitude: number, count: number): number {
  return magnitude + (1 << (count - 1)) - 1 + ((magnitude >>> count) & 1);
}
