import { isReservedName, MAX_HEADER_LENGTH, PREFIX_LENGTH } from "./_safetensors_header.ts";
import { ARRAY_CLASSES, type StoredTensor } from "./dtype.ts";
import type { WeightEntry } from "./weight_source.ts";

/** Where each tensor goes in a file to be written. */
export interface Layout {
  /** Length prefix and header. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** Names of the tensors in the order of their data. */
  readonly order: readonly string[];
  /** Bytes of all data. */
  readonly dataLength: number;
}

/** Free-form notes of a file. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * Lays tensors out by falling alignment, then by name, which keeps each of them aligned; the header is padded with
 * spaces to a multiple of 8 bytes.
 *
 * @throws {TypeError} if a dtype or shape is impossible, or a name is reserved.
 * @throws {RangeError} if the header would exceed 100 MB.
 */
export function layOut(entries: ReadonlyMap<string, WeightEntry>, metadata: Metadata): Layout {
  const widths = [...ARRAY_CLASSES.keys()];
  const sorted = [...entries].sort(([a, left], [b, right]) =>
    widths.indexOf(right.dtype) - widths.indexOf(left.dtype) || (a < b ? -1 : 1)
  );
  // Text, not an object: an object would move names that look like integers to its front.
  const fields = encodeMetadata(metadata);
  let dataLength = 0;
  for (const [name, entry] of sorted) {
    const { dtype, shape } = entry;
    const offsets = [dataLength, dataLength + byteLengthOf(name, entry)];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`);
    dataLength = offsets[1]!;
  }
  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerLength = Math.ceil(header.length / 8) * 8;
  if (headerLength > MAX_HEADER_LENGTH) {
    throw new RangeError(
      `Cannot write safetensors: the header may take ${MAX_HEADER_LENGTH} bytes, got ${headerLength}`,
    );
  }
  const head = new Uint8Array(PREFIX_LENGTH + headerLength).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerLength), true);
  head.set(header, PREFIX_LENGTH);
  return { head, order: sorted.map(([name]) => name), dataLength };
}

/** Bytes of a tensor's data. */
export function byteLengthOf(name: string, { dtype, shape }: WeightEntry): number {
  const action = `Cannot write tensor ${JSON.stringify(name)}`;
  if (isReservedName(name)) throw new TypeError(`${action}: the name is reserved`);
  const arrayClass = ARRAY_CLASSES.get(dtype);
  if (arrayClass === undefined) throw new TypeError(`${action}: unknown dtype ${dtype}`);
  const bytes = shape.reduce((product, size) => product * size, arrayClass.BYTES_PER_ELEMENT);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || !Number.isSafeInteger(bytes)) {
    throw new TypeError(`${action}: the shape must be of non-negative integers, got [${shape.join(", ")}]`);
  }
  return bytes;
}

/** The bytes of a tensor, after a check that they are what its dtype and shape say. */
export function bytesOf(name: string, tensor: StoredTensor): Uint8Array {
  const { dtype, shape, data } = tensor;
  const length = byteLengthOf(name, tensor);
  const action = `Cannot write tensor ${JSON.stringify(name)}`;
  if (!(data instanceof ARRAY_CLASSES.get(dtype)!)) {
    throw new TypeError(`${action}: ${dtype} is held by another kind of array than ${data.constructor.name}`);
  }
  if (length !== data.byteLength) {
    throw new TypeError(`${action}: shape [${shape.join(", ")}] must agree with ${data.length} elements`);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function encodeMetadata(metadata: Metadata): string[] {
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
