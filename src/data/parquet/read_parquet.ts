import { readSync } from "node:fs";
import { open } from "node:fs/promises";
import { CorruptFileError, DataLimitError } from "../errors.ts";
import { readClassNames } from "./_class_names.ts";
import { decompressors } from "./_decompress.ts";
import { readFooter, type ReadRange } from "./_footer.ts";
import { readColumn } from "./_group.ts";
import { type PageBudget, spend } from "./_pages.ts";
import { ZstdThread } from "./_zstd.ts";

/** What a Parquet file is known to hold before its rows are read. */
export interface ParquetInfo {
  /** Names of the columns. */
  readonly columns: readonly string[];
  /** Names of the classes that columns' whole numbers stand for, if the file was written by `datasets`. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
}

/** Options of {@linkcode readParquet}. */
export interface ReadParquetOptions {
  /** The columns to read, of which those that aren't there are passed over; all by default. */
  readonly columns?: readonly string[] | undefined;
  /** Most bytes of the file, and of its data unpacked; values may take twice as many and 64 MiB, by an estimate. */
  readonly maxBytes: number;
  /** Most rows. */
  readonly maxRows: number;
  readonly signal?: AbortSignal | undefined;
  /** Told what there is before the first row. */
  readonly onInfo?: (info: ParquetInfo) => void;
}

/** Bytes that values may take in any case. */
const LEAST_MEMORY = 64 << 20;
/** What a row takes in memory beside its values. */
const ROW_BYTES = 56;

/**
 * The rows of a Parquet file, a row group at a time. hyparquet reads it, which trusts files to be sound: so each part
 * is checked before it gets to see it.
 *
 * @throws {CorruptFileError} naming the file, the column and what is wrong.
 * @throws {DataLimitError} naming the limit that the file exceeds.
 */
export async function* readParquet(
  path: string,
  options: ReadParquetOptions,
): AsyncGenerator<Record<string, unknown>[]> {
  const { maxBytes, maxRows, signal, onInfo } = options;
  signal?.throwIfAborted();
  const file = await open(path, "r");
  const zstd = new ZstdThread();
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new DataLimitError(`it may take ${maxBytes} bytes (maxBytes), got ${size}`);
    const read: ReadRange = (start, end) => readExactly(file.fd, start, end);
    const footer = readFooter(size, read);
    const { metadata, columns } = footer;
    onInfo?.({ columns: [...columns.keys()], classNames: readClassNames(metadata.key_value_metadata) });
    if (metadata.num_rows > maxRows) {
      throw new DataLimitError(`there may be ${maxRows} rows (maxRows), got ${metadata.num_rows}`);
    }
    const numRows = metadata.row_groups.reduce((sum, group) => sum + group.num_rows, 0n);
    if (numRows !== metadata.num_rows || metadata.row_groups.some((group) => group.num_rows < 0n)) {
      throw new Error(`it must have ${metadata.num_rows} rows, but its row groups have ${numRows}`);
    }
    const names = [...columns.keys()].filter((name) => options.columns?.includes(name) ?? true);
    const budget: PageBudget = { unpacked: maxBytes, memory: 2 * maxBytes + LEAST_MEMORY };
    spend(budget, "memory", Number(numRows) * ROW_BYTES);
    const context = { footer, read, budget, decompressors: decompressors(zstd) };
    for (const group of metadata.row_groups) {
      const values: unknown[][] = [];
      for (const name of names) {
        signal?.throwIfAborted();
        values.push(
          await readColumn(name, group, context).catch((error) => {
            throw inside(`column ${name}: `, error);
          }),
        );
      }
      yield Array.from(
        { length: Number(group.num_rows) },
        (_, row) => Object.fromEntries(names.map((name, i) => [name, values[i]![row]])),
      );
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    throw inside(`Cannot read ${path}: `, error);
  } finally {
    await zstd.close();
    await file.close();
  }
}

/** An error with more of its place in front; what isn't the file system's is the file's. */
function inside(place: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || "syscall" in cause) return cause;
  const kind = cause instanceof DataLimitError ? DataLimitError : CorruptFileError;
  return new kind(`${place}${cause.message}`, { cause });
}

function readExactly(file: number, start: number, end: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(end - start);
  for (let done = 0; done < bytes.length;) {
    const count = readSync(file, bytes, done, bytes.length - done, start + done);
    if (count === 0) throw new Error(`it ends at byte ${start + done}`);
    done += count;
  }
  return bytes;
}
