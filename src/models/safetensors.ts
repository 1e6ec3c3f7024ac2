import {
  corrupt,
  type HeaderEntry,
  isReservedName,
  MAX_HEADER_LENGTH,
  parseHeader,
} from "./_safetensors_header.ts";
import { ARRAY_CLASSES, type StoredTensor } from "./dtype.ts";

/** What a safetensors file holds. */
export interface Safetensors {
  /** The tensors by name, in the order in which their data lie in the file. */
  readonly tensors: Map<string, StoredTensor>;
  /** The file's free-form notes. */
  readonly metadata: Record<string, string>;
}

const PREFIX_LENGTH = 8;

/**
 * Reads a safetensors file: an 8-byte little-endian header length, a JSON header, then the tensors' bytes. Tensors
 * are views of `bytes` wherever the alignment allows it, and copies elsewhere; hosts are taken to be little-endian.
 *
 * The file is not trusted. Beside what the format demands (every byte of data belongs to exactly one tensor, no key
 * is repeated), each tensor must begin at a multiple of its element size, counted from the start of the data.
 *
 * @throws {CorruptFileError} naming what is wrong with the file
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const bias = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * const { tensors } = readSafetensors(encodeSafetensors(new Map([["bias", bias]])));
 * assert.deepEqual(tensors.get("bias"), bias);
 * ```
 */
export function readSafetensors(bytes: Uint8Array | ArrayBuffer): Safetensors {
  // A plain Uint8Array even for a Buffer of Node, whose slice() would not copy.
  const file = bytes instanceof Uint8Array
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  if (file.length < PREFIX_LENGTH) {
    throw corrupt(`the file must hold at least ${PREFIX_LENGTH} bytes, got ${file.length}`);
  }
  const headerLength = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const rest = file.length - PREFIX_LENGTH;
  if (headerLength > MAX_HEADER_LENGTH) {
    throw corrupt(`the header may take ${MAX_HEADER_LENGTH} bytes, got a length of ${headerLength}`);
  }
  if (headerLength > rest) {
    throw corrupt(`the header is said to take ${headerLength} bytes, but ${rest} follow`);
  }
  const dataStart = PREFIX_LENGTH + Number(headerLength);
  const header = parseHeader(file.subarray(PREFIX_LENGTH, dataStart), file.length - dataStart);
  const data = file.subarray(dataStart);
  const tensors = new Map(header.entries.map((entry) => [entry.name, tensorAt(data, entry)]));
  return { tensors, metadata: header.metadata };
}

function tensorAt(
  data: Uint8Array,
  { arrayClass, dtype, shape, length, begin, end }: HeaderEntry,
): StoredTensor {
  const aligned = (data.byteOffset + begin) % arrayClass.BYTES_PER_ELEMENT === 0;
  const source = aligned ? data.subarray(begin, end) : data.slice(begin, end);
  const elements = new arrayClass(source.buffer as ArrayBuffer, source.byteOffset, length);
  return { dtype, shape, data: elements } as StoredTensor;
}

/**
 * Writes tensors as a safetensors file. Equal content gives equal bytes, whatever the order of the maps' entries:
 * tensors are laid out by falling alignment, then by name, which keeps each of them aligned; the header is padded
 * with spaces to a multiple of 8 bytes.
 *
 * @param tensors by name; a shape must agree with its data
 * @param metadata free-form notes
 * @throws {TypeError} if a dtype is unknown, or data disagree with dtype or shape, or a name is reserved
 * @throws {RangeError} if the header would exceed 100 MB
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const order = [...ARRAY_CLASSES.keys()];
  const sorted = [...tensors].sort(([a, left], [b, right]) =>
    order.indexOf(right.dtype) - order.indexOf(left.dtype) || (a < b ? -1 : 1)
  );

  // Text, not an object: an object would move names that look like integers to its front.
  const fields = encodeMetadata(metadata);
  let dataLength = 0;
  for (const [name, tensor] of sorted) {
    checkTensor(name, tensor);
    const { dtype, shape, data } = tensor;
    const offsets = [dataLength, dataLength + data.byteLength];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`);
    dataLength += data.byteLength;
  }
  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerLength = Math.ceil(header.length / 8) * 8;
  if (headerLength > MAX_HEADER_LENGTH) {
    throw new RangeError(
      `Cannot write safetensors: the header may take ${MAX_HEADER_LENGTH} bytes, got ${headerLength}`,
    );
  }

  const dataStart = PREFIX_LENGTH + headerLength;
  const file = new Uint8Array(dataStart + dataLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, PREFIX_LENGTH, dataStart);
  file.set(header, PREFIX_LENGTH);
  let offset = dataStart;
  for (const [, { data }] of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return file;
}

function encodeMetadata(metadata: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of entries) {
    if (key === "__proto__") {
      throw new TypeError("Cannot write safetensors: the metadata key __proto__ is reserved");
    }
    if (typeof value !== "string") {
      throw new TypeError(`Cannot write safetensors: metadata must be text, got ${typeof value} for ${key}`);
    }
  }
  const fields = entries.map((pair) => pair.map((text) => JSON.stringify(text)).join(":"));
  return entries.length === 0 ? [] : [`"__metadata__":{${fields.join(",")}}`];
}

function checkTensor(name: string, { dtype, shape, data }: StoredTensor): void {
  const action = `Cannot write tensor ${JSON.stringify(name)}`;
  if (isReservedName(name)) throw new TypeError(`${action}: the name is reserved`);
  const arrayClass = ARRAY_CLASSES.get(dtype);
  if (arrayClass === undefined) throw new TypeError(`${action}: unknown dtype ${dtype}`);
  if (!(data instanceof arrayClass)) {
    throw new TypeError(`${action}: ${dtype} is held by another kind of array than ${data.constructor.name}`);
  }
  const length = shape.reduce((product, size) => product * size, 1);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || length !== data.length) {
    throw new TypeError(`${action}: shape [${shape.join(", ")}] must agree with ${data.length} elements`);
  }
}
