import { crc32 } from "node:zlib";

/**
 * Checks the checksums of a column's pages, where the file has them; hyparquet doesn't.
 *
 * @throws {Error} if a page doesn't match its checksum, or isn't inside the column.
 */
export function checkPageChecksums(bytes: Uint8Array): void {
  // hyparquet, too, stops looking for a page one byte before the end.
  for (let offset = 0; offset < bytes.length - 1;) {
    const { fields, end } = readHeader(bytes, offset);
    const size = fields.get(COMPRESSED_SIZE) ?? 0;
    const checksum = fields.get(CHECKSUM);
    if (size < 0 || size > bytes.length - end) {
      throw new Error(`a page of ${size} bytes ends outside the column`);
    }
    offset = end + size;
    if (checksum !== undefined && crc32(bytes.subarray(end, offset)) !== checksum >>> 0) {
      throw new Error("a page doesn't match its checksum");
    }
  }
}

/** Fields of a page's header (parquet.thrift, PageHeader). */
const [COMPRESSED_SIZE, CHECKSUM] = [3, 4];

/** Types of Thrift's compact protocol that occur in a page's header. */
const [STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, STRUCT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12];

/** The whole numbers of a structure in Thrift's compact protocol by their fields, and where it ends. */
function readHeader(bytes: Uint8Array, start: number): { fields: Map<number, number>; end: number } {
  let offset = start;
  const byte = (): number => {
    if (offset >= bytes.length) throw new Error("a page's header ends outside the column");
    return bytes[offset++]!;
  };
  const varint = (): number => {
    let value = 0;
    for (let shift = 0;; shift += 7) {
      const next = byte();
      value += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) return value;
    }
  };
  const zigzag = (): number => {
    const value = varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  const skip = (count: number): void => {
    offset += count;
  };
  const readStruct = (): Map<number, number> => {
    const fields = new Map<number, number>();
    let field = 0;
    for (let head = byte(); (head & 15) !== STOP; head = byte()) {
      field = head >> 4 === 0 ? zigzag() : field + (head >> 4);
      const type = head & 15;
      if (type === I16 || type === I32 || type === I64) fields.set(field, zigzag());
      else if (type === BINARY) skip(varint());
      else if (type === STRUCT) readStruct();
      else if (type === DOUBLE) skip(8);
      else if (type === BYTE) skip(1);
      else if (type !== TRUE && type !== FALSE) {
        throw new Error(`a page's header has a value of type ${type}`);
      }
    }
    return fields;
  };
  return { fields: readStruct(), end: offset };
}
