import { type HeaderEntry, parseHeader, parsePrefix, PREFIX_LENGTH } from "./_safetensors_header.ts";
import { bytesOf, layOut } from "./_safetensors_layout.ts";
import type { StoredTensor } from "./dtype.ts";

/** What a safetensors file holds. */
export interface Safetensors {
  /** The tensors by name, in the order in which their data lie in the file. */
  readonly tensors: Map<string, StoredTensor>;
  /** The file's free-form notes. */
  readonly metadata: Record<string, string>;
}

/**
 * Reads a safetensors file in memory: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
 * Tensors are views of `bytes` wherever the alignment allows it, and copies elsewhere; hosts are taken to be
 * little-endian. A large file is better read one tensor at a time, with {@linkcode SafetensorsFile}.
 *
 * The file is not trusted: every byte of data must belong to exactly one tensor, and no key may be repeated.
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
  const dataStart = PREFIX_LENGTH + parsePrefix(file.subarray(0, PREFIX_LENGTH), file.length);
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

/** Bytes of the file that {@linkcode encodeSafetensors} makes of tensors of these types and shapes. */
export function safetensorsLength(
  entries: ReadonlyMap<string, Pick<StoredTensor, "dtype" | "shape">>,
  metadata: Readonly<Record<string, string>> = {},
): number {
  const { head, dataLength } = layOut(entries, metadata);
  return head.length + dataLength;
}

/**
 * Writes tensors as a safetensors file in memory. Equal content gives equal bytes, whatever the order of the maps'
 * entries: tensors are laid out by falling alignment, then by name, which keeps each of them aligned; the header is
 * padded with spaces to a multiple of 8 bytes. {@linkcode writeSafetensors} writes the same bytes to a file, one
 * tensor at a time.
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
  const { head, order, dataLength } = layOut(tensors, metadata);
  const parts = order.map((name) => bytesOf(name, tensors.get(name)!));
  const file = new Uint8Array(head.length + dataLength);
  file.set(head);
  let offset = head.length;
  for (const bytes of parts) {
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}
