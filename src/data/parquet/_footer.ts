import { type FileMetaData, parquetMetadata } from "hyparquet";
import { DataLimitError } from "../errors.ts";
import { type Columns, readSchema } from "./_schema.ts";

/** The longest footer, in bytes: that of a hundred columns in a thousand row groups takes less. */
const MAX_FOOTER = 16 << 20;

const MAGIC = "PAR1";

/** The contents of a footer, checked. */
export interface Footer {
  readonly metadata: FileMetaData;
  readonly columns: Columns;
  /** Where the data end. */
  readonly dataEnd: number;
}

/** Reads the bytes of a file from a start up to an end. */
export type ReadRange = (start: number, end: number) => Uint8Array<ArrayBuffer>;

/**
 * Reads the footer of a Parquet file, whose length precedes the file's last four bytes.
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
  if (length > size - 12) throw new Error(`its footer claims ${length} of the file's ${size} bytes`);
  if (length > MAX_FOOTER) {
    throw new DataLimitError(`its footer may take ${MAX_FOOTER} bytes, got ${length}`);
  }
  const dataEnd = size - 8 - length;
  // Statistics are of no use here, and texts in them may be cut inside a character.
  const parsers = { stringFromBytes: () => "" };
  const metadata = parquetMetadata(read(dataEnd, size), { geoparquet: false, parsers });
  const rows = metadata.row_groups.map((group) => group.num_rows);
  const sum = rows.reduce((sum, count) => sum + count, 0n);
  if (sum !== metadata.num_rows || rows.some((count) => count < 0n)) {
    throw new Error(`it must have ${metadata.num_rows} rows, but its row groups have ${sum}`);
  }
  return { metadata, columns: readSchema(metadata.schema), dataEnd };
}
