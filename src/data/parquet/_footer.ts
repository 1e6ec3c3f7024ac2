import { type FileMetaData, parquetMetadata } from "hyparquet";
import { DataLimitError } from "../errors.ts";
import { type Columns, readSchema } from "./_schema.ts";
import { readThrift } from "./_thrift.ts";

/** Longest footer, in bytes, and most values in it: those of a hundred columns in a thousand row groups, and more. */
const MAX_FOOTER = 16 << 20;
const MAX_VALUES = 4_000_000;
/** Longest text in a footer, beside free-form notes; writers keep statistics at most this long. */
const MAX_BINARY = 4096;
/** The field of the file's metadata that has free-form notes. */
const NOTES = 5;

const MAGIC = "PAR1";

/** What a footer says, checked. */
export interface Footer {
  readonly metadata: FileMetaData;
  readonly columns: Columns;
  /** Where the data end. */
  readonly dataEnd: number;
}

/** Reads so many bytes of a file from a position on. */
export type ReadRange = (start: number, end: number) => Uint8Array<ArrayBuffer>;

/**
 * Reads the footer of a Parquet file, whose length stands in front of the file's last four bytes.
 *
 * @throws {Error} saying what is wrong.
 * @throws {DataLimitError} if it is too long.
 */
export function readFooter(size: number, read: ReadRange): Footer {
  if (size < 12) throw new Error(`a Parquet file has at least 12 bytes, got ${size}`);
  const tail = read(size - 8, size);
  const [begin, end] = [read(0, 4), tail.subarray(4)].map((bytes) => String.fromCharCode(...bytes));
  if (end === "PARE" || begin === "PARE") throw new Error("it is encrypted");
  if (begin === "vers") throw new Error("it is a pointer of Git LFS; run git lfs pull in its folder");
  if (begin !== MAGIC || end !== MAGIC) throw new Error(`a Parquet file begins and ends with ${MAGIC}`);
  const length = new DataView(tail.buffer).getUint32(0, true);
  if (length > size - 12) throw new Error(`its footer is said to take ${length} bytes of ${size}`);
  if (length > MAX_FOOTER) {
    throw new DataLimitError(`its footer may take ${MAX_FOOTER} bytes, got ${length}`);
  }
  const dataEnd = size - 8 - length;
  const footer = read(dataEnd, size);
  // hyparquet trusts what it reads: it is shown what has been checked.
  readThrift(footer.subarray(0, length), 0, {
    maxValues: MAX_VALUES,
    maxBinary: MAX_BINARY,
    longField: NOTES,
  });
  const metadata = parquetMetadata(footer, { geoparquet: false, parsers: { stringFromBytes: () => "" } });
  return { metadata, columns: readSchema(metadata.schema), dataEnd };
}
