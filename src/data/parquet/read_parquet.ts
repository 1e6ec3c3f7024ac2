import { stat } from "node:fs/promises";
import { CorruptFileError, DataLimitError } from "../errors.ts";
import { readInProcess } from "./_reader_process.ts";

/** What a Parquet file says about itself before its rows are read. */
export interface ParquetInfo {
  /** Names of the columns. */
  readonly columns: readonly string[];
  /** Names of the classes that columns' whole numbers stand for, if the file was written by `datasets`. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
}

/** Options of {@linkcode readParquet}. */
export interface ReadParquetOptions {
  /** The columns to read, of which those that the file lacks are skipped; all by default. */
  readonly columns?: readonly string[] | undefined;
  /** Most bytes of the file, and of its data unpacked; values may take twice as many and 64 MiB, by an estimate. */
  readonly maxBytes: number;
  /** Most rows. */
  readonly maxRows: number;
  readonly signal?: AbortSignal | undefined;
  /** Called before the first row. */
  readonly onInfo?: (info: ParquetInfo) => void;
}

/**
 * The rows of a Parquet file, a row group at a time. hyparquet reads it, which trusts files: it does so in a process of its
 * own with bounds on memory and time.
 *
 * @throws {CorruptFileError} naming the file, the column and what is wrong.
 * @throws {DataLimitError} naming the limit that the file exceeds.
 */
export async function* readParquet(
  path: string,
  options: ReadParquetOptions,
): AsyncGenerator<Record<string, unknown>[]> {
  const { columns, maxBytes, maxRows, signal, onInfo } = options;
  signal?.throwIfAborted();
  let place = `Cannot read ${path}: `;
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new DataLimitError(`it may take ${maxBytes} bytes (maxBytes), got ${size}`);
    let group: Group | undefined;
    for await (const message of readInProcess({ path, columns, maxBytes, maxRows }, signal)) {
      switch (message.kind) {
        case "info":
          onInfo?.(message.info);
          break;
        case "group":
          if (group !== undefined) yield rowsOf(group);
          group = { ...message, values: [] };
          break;
        case "column":
          place = `Cannot read ${path}: column ${message.name}: `;
          group!.values.push([]);
          break;
        case "values":
          for (const value of message.values) group!.values.at(-1)!.push(value);
      }
    }
    if (group !== undefined) yield rowsOf(group);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw inside(place, error);
  }
}

interface Group {
  readonly names: readonly string[];
  readonly numRows: number;
  /** Values of each column. */
  readonly values: unknown[][];
}

function rowsOf({ names, numRows, values }: Group): Record<string, unknown>[] {
  return Array.from(
    { length: numRows },
    (_, row) => Object.fromEntries(names.map((name, i) => [name, values[i]![row]])),
  );
}

/** An error that says where it arose; errors of the file system stay as they are. */
function inside(place: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || "syscall" in cause) return cause;
  const kind = cause instanceof DataLimitError ? DataLimitError : CorruptFileError;
  return new kind(`${place}${cause.message}`, { cause });
}
