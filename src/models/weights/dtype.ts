/** The array that holds each dtype's elements; half-precision floats are kept as their bits, truth values as 0 or 1. */
export interface DtypeArrays {
  BOOL: Uint8Array;
  U8: Uint8Array;
  I8: Int8Array;
  I16: Int16Array;
  U16: Uint16Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I32: Int32Array;
  U32: Uint32Array;
  F32: Float32Array;
  F64: Float64Array;
  I64: BigInt64Array;
  U64: BigUint64Array;
}

/** The name of an element type, as the safetensors format spells it. */
export type Dtype = keyof DtypeArrays;

/** A tensor as a file stores it: row-major elements of one dtype. */
export type StoredTensor = {
  [D in Dtype]: { readonly dtype: D; readonly shape: readonly number[]; readonly data: DtypeArrays[D] };
}[Dtype];

/** A typed array class, seen as the reader and writer need it. */
export interface DtypeArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): DtypeArrays[Dtype];
}

/** Every dtype's array class, in the order of increasing alignment that the safetensors reference sorts by. */
export const ARRAY_CLASSES: ReadonlyMap<string, DtypeArrayClass> = new Map<Dtype, DtypeArrayClass>([
  ["BOOL", Uint8Array],
  ["U8", Uint8Array],
  ["I8", Int8Array],
  ["I16", Int16Array],
  ["U16", Uint16Array],
  ["F16", Uint16Array],
  ["BF16", Uint16Array],
  ["I32", Int32Array],
  ["U32", Uint32Array],
  ["F32", Float32Array],
  ["F64", Float64Array],
  ["I64", BigInt64Array],
  ["U64", BigUint64Array],
]);

/**
 * The elements of a floating-point tensor as float32. F16 and BF16 widen exactly (a NaN stays a NaN, its payload may
 * not); F32 is returned as it is, not copied.
 *
 * @throws {TypeError} if the dtype is not F32, F16 or BF16; any other would have to round
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const data = toFloat32({ dtype: "BF16", shape: [2], data: Uint16Array.of(0x3f80, 0xc000) });
 * assert.deepEqual(data, Float32Array.of(1, -2));
 * ```
 */
export function toFloat32(tensor: StoredTensor): Float32Array {
  switch (tensor.dtype) {
    case "F32":
      return tensor.data;
    case "BF16": {
      const bits = new Uint32Array(tensor.data.length);
      for (let i = 0; i < bits.length; i++) bits[i] = tensor.data[i]! << 16;
      return new Float32Array(bits.buffer);
    }
    case "F16": {
      halves ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => halfToNumber(bits));
      const values = new Float32Array(tensor.data.length);
      for (let i = 0; i < values.length; i++) values[i] = halves[tensor.data[i]!]!;
      return values;
    }
    default:
      throw new TypeError(
        `Cannot widen a tensor to float32: dtype must be F32, F16 or BF16, got ${tensor.dtype}`,
      );
  }
}

/** What each half-precision number is, made when it is first needed: a large model has hundreds of millions of them. */
let halves: Float32Array | undefined;

/** IEEE 754 binary16: 1 sign bit, 5 exponent bits of bias 15, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
