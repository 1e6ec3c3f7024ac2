import { toFloat32 } from "../../../models/weights/dtype.ts";
import { FlowerFormatError } from "../errors.ts";
import type { DtypeName, FlowerArray, FlowerArrayData } from "./record.ts";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0];
/** Where the header's text begins, and what the data's place is a multiple of. */
const TEXT = 10;
const ALIGNMENT = 64;

interface Dtype {
  readonly name: DtypeName;
  readonly bytes: number;
  /** Elements of aligned little-endian bytes. */
  readonly read: (buffer: ArrayBuffer) => FlowerArrayData;
}

/** Element types by how NumPy writes them. */
const DTYPES: Readonly<Record<string, Dtype>> = {
  "<f2": { name: "float16", bytes: 2, read: readHalf },
  "<f4": { name: "float32", bytes: 4, read: (buffer) => new Float32Array(buffer) },
  "<f8": { name: "float64", bytes: 8, read: (buffer) => new Float64Array(buffer) },
  "|i1": { name: "int8", bytes: 1, read: (buffer) => new Int8Array(buffer) },
  "<i2": { name: "int16", bytes: 2, read: (buffer) => new Int16Array(buffer) },
  "<i4": { name: "int32", bytes: 4, read: (buffer) => new Int32Array(buffer) },
  "<i8": { name: "int64", bytes: 8, read: (buffer) => new BigInt64Array(buffer) },
  "|u1": { name: "uint8", bytes: 1, read: (buffer) => new Uint8Array(buffer) },
  "<u2": { name: "uint16", bytes: 2, read: (buffer) => new Uint16Array(buffer) },
  "<u4": { name: "uint32", bytes: 4, read: (buffer) => new Uint32Array(buffer) },
  "<u8": { name: "uint64", bytes: 8, read: (buffer) => new BigUint64Array(buffer) },
  "|b1": { name: "bool", bytes: 1, read: (buffer) => new Uint8Array(buffer) },
};

/**
 * Bytes of a `.npy` file, version 1.0, as `numpy.save` writes them.
 *
 * @throws {TypeError} the array isn't of float32, which alone is written.
 * @throws {RangeError} the shape and the number of elements disagree.
 *
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * @example
 * ```ts
 * encodeNpy({ dtype: "float32", shape: [2], data: new Float32Array(2) }).length; // 136
 * ```
 */
export function encodeNpy({ dtype, shape, data }: FlowerArray): Uint8Array {
  if (dtype !== "float32" || !(data instanceof Float32Array)) {
    throw new TypeError(
      `Cannot write an array: expected float32 in a Float32Array, got ${dtype} in a ${data.constructor.name}`,
    );
  }
  if (sizeOf(shape) !== data.length) {
    throw new RangeError(
      `Cannot write an array of shape [${shape.join(", ")}]: expected ${
        sizeOf(shape)
      } elements, got ${data.length}`,
    );
  }
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const start = Math.ceil((TEXT + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(start + data.byteLength).fill(0x20, 0, start);
  bytes.set(MAGIC);
  new DataView(bytes.buffer).setUint16(8, start - TEXT, true);
  for (let i = 0; i < text.length; i++) bytes[TEXT + i] = text.charCodeAt(i);
  bytes[start - 1] = 0x0a;
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return bytes;
}

/**
 * Reads a `.npy` file, version 1.0; column-major data comes out row-major.
 *
 * @throws {FlowerFormatError} the bytes aren't such a file, have another type of elements, or are too few or too many.
 *
 * @example
 * ```ts
 * decodeNpy(encodeNpy({ dtype: "float32", shape: [1, 2], data: new Float32Array([3, 4]) })).shape; // [1, 2]
 * ```
 */
export function decodeNpy(bytes: Uint8Array): FlowerArray {
  const fail = (reason: string) => new FlowerFormatError(`Cannot read an array: ${reason}`);
  if (bytes.length < TEXT || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw fail("expected the bytes of a .npy file of version 1.0");
  }
  const start = TEXT + (bytes[8]! | bytes[9]! << 8);
  if (bytes.length < start) {
    throw fail(`expected a header that ends at byte ${start}, got ${bytes.length} bytes`);
  }
  const text = String.fromCharCode(...bytes.subarray(TEXT, start));
  const [, descr] = /'descr': *'([^']*)'/.exec(text) ?? [];
  const [, order] = /'fortran_order': *(True|False)\b/.exec(text) ?? [];
  const [, tuple] = /'shape': *\(((?: *\d+ *,)* *\d* *)\)/.exec(text) ?? [];
  if (descr === undefined || order === undefined || tuple === undefined) {
    throw fail(
      `expected a header with descr, fortran_order and shape, got ${
        JSON.stringify(text.slice(0, 200).trimEnd())
      }`,
    );
  }
  if (!Object.hasOwn(DTYPES, descr)) {
    throw fail(`expected elements of ${Object.keys(DTYPES).join(", ")}, got ${JSON.stringify(descr)}`);
  }
  const { name: dtype, bytes: width, read } = DTYPES[descr]!;
  const shape = [...tuple.matchAll(/\d+/g)].map(Number);
  const expected = sizeOf(shape) * width;
  if (bytes.length - start !== expected) {
    throw fail(
      `expected ${expected} bytes of ${dtype} for shape [${shape.join(", ")}], got ${bytes.length - start}`,
    );
  }
  // A copy of its own: a Buffer's slice would be a view.
  const data = read(new Uint8Array(bytes.subarray(start)).buffer);
  return { dtype, shape, data: order === "True" ? toRowMajor(data, shape) : data };
}

function readHalf(buffer: ArrayBuffer): Float32Array {
  return toFloat32({ dtype: "F16", shape: [], data: new Uint16Array(buffer) });
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Turns data whose first index runs fastest into data whose last one does. */
function toRowMajor(data: FlowerArrayData, shape: readonly number[]): FlowerArrayData {
  const ordered = data.slice();
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
  for (let i = 0, from = 0; i < data.length; i++) {
    ordered[i] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return ordered;
}
