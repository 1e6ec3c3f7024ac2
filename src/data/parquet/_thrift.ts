/** A value of Thrift's compact protocol, as Parquet's metadata are written in. */
export type ThriftValue = boolean | number | bigint | Uint8Array | ThriftValue[] | ThriftStruct;

/** Fields of a structure by their numbers. */
export interface ThriftStruct {
  readonly [field: number]: ThriftValue;
}

/** Options of {@linkcode readThrift}. */
export interface ThriftLimits {
  /** Most structures, list items and fields together. */
  readonly maxValues: number;
  /** Longest text or bytes, outside of the field of the outermost structure that may be long. */
  readonly maxBinary: number;
  /** A field of the outermost structure whose texts may be of any length. */
  readonly longField?: number;
}

const MAX_DEPTH = 16;

/** Types of the compact protocol; booleans are types of their own, maps and sets don't occur in Parquet. */
const [STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  12,
];

/**
 * Reads one structure of Thrift's compact protocol strictly: in bounds, no number longer than its type, no list longer
 * than the bytes that are left, no nesting without end. What passes is safe to be read by a less careful reader.
 *
 * @returns the structure, and where it ends.
 * @throws {Error} saying what is wrong.
 */
export function readThrift(
  bytes: Uint8Array,
  start: number,
  limits: ThriftLimits,
): { readonly value: ThriftStruct; readonly end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = start;
  let values = 0;

  const byte = (): number => {
    if (offset >= bytes.length) throw new Error("metadata end early");
    return bytes[offset++]!;
  };
  const varint = (maxBits: number): bigint => {
    let result = 0n;
    for (let shift = 0n;; shift += 7n) {
      const next = byte();
      result |= BigInt(next & 0x7f) << shift;
      if (result >> BigInt(maxBits) !== 0n) {
        throw new Error(`a number in the metadata takes more than ${maxBits} bits`);
      }
      if (next < 0x80) return result;
      // Zeros in front would go on for as long as the file does.
      if (shift > 63n) throw new Error("a number in the metadata has too many digits");
    }
  };
  const zigzag = (bits: number): bigint => {
    const value = varint(bits);
    return value & 1n ? -(value >> 1n) - 1n : value >> 1n;
  };
  const read = (type: number, depth: number, long: boolean): ThriftValue => {
    if (++values > limits.maxValues) throw new Error(`metadata hold more than ${limits.maxValues} values`);
    switch (type) {
      case BYTE:
        return byte() << 24 >> 24;
      case I16:
        return Number(zigzag(16));
      case I32:
        return Number(zigzag(32));
      case I64:
        return zigzag(64);
      case DOUBLE:
        if (offset + 8 > bytes.length) throw new Error("metadata end early");
        return view.getFloat64((offset += 8) - 8, true);
      case BINARY: {
        const length = Number(varint(31));
        if (!long && length > limits.maxBinary) {
          throw new Error(`a text in the metadata takes more than ${limits.maxBinary} bytes`);
        }
        if (length > bytes.length - offset) throw new Error("metadata end inside of a text");
        return bytes.subarray(offset, offset += length);
      }
      case LIST:
        return list(depth + 1, long);
      case STRUCT:
        return struct(depth + 1, long);
      default:
        throw new Error(`metadata have a value of the unknown type ${type}`);
    }
  };
  const list = (depth: number, long: boolean): ThriftValue[] => {
    if (depth > MAX_DEPTH) throw new Error(`metadata are nested deeper than ${MAX_DEPTH} levels`);
    const head = byte();
    const type = head & 15;
    const length = head >> 4 === 15 ? Number(varint(31)) : head >> 4;
    // An item takes a byte at least.
    if (length > bytes.length - offset) throw new Error(`metadata end inside of a list of ${length} items`);
    const items: ThriftValue[] = [];
    for (let i = 0; i < length; i++) {
      items.push(type === TRUE || type === FALSE ? read(BYTE, depth, long) === 1 : read(type, depth, long));
    }
    return items;
  };
  const struct = (depth: number, long: boolean): ThriftStruct => {
    if (depth > MAX_DEPTH) throw new Error(`metadata are nested deeper than ${MAX_DEPTH} levels`);
    const fields: Record<number, ThriftValue> = {};
    let field = 0;
    for (let head = byte(); (head & 15) !== STOP; head = byte()) {
      field = head >> 4 === 0 ? Number(zigzag(16)) : field + (head >> 4);
      if (field in fields) throw new Error(`metadata repeat field ${field}`);
      const type = head & 15;
      fields[field] = type === TRUE || type === FALSE
        ? type === TRUE
        : read(type, depth, long || depth === 0 && field === limits.longField);
    }
    return fields;
  };
  return { value: struct(0, false), end: offset };
}
