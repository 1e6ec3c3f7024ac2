import { RowCollector } from "./_collector.ts";
import { readConllInto } from "./_conll.ts";
import { readJsonInto } from "./_json.ts";
import { readJsonlInto } from "./_jsonl.ts";
import type { ReadInto } from "./_read_into.ts";
import type { RowSet } from "./row_set.ts";

/** A format of data files. */
export type DataFormat = "jsonl" | "json" | "csv" | "tsv" | "parquet" | "conll";

/** Options of {@linkcode readRows}. */
export interface ReadRowsOptions {
  /** By default as the extension of the file says: `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.parquet`, `.conll`. */
  readonly format?: DataFormat;
  /** The columns to keep; all by default. */
  readonly columns?: readonly string[];
  /** Names of the columns of CSV or TSV; by default the first line has them. */
  readonly header?: readonly string[];
  /** Whether quotation marks enclose values of CSV or TSV, or are part of them. True by default. */
  readonly quotes?: boolean;
  /** Most bytes of a file, and of the data in a compressed one; 512 MiB by default. */
  readonly maxBytes?: number;
  /** Most rows of all files together; 10 million by default. */
  readonly maxRows?: number;
  /** Ends the reading, with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Reader {
  readonly extensions: readonly string[];
  readonly readInto: ReadInto;
}

// Libraries are loaded when a file needs them: a program that reads no CSV starts without its parser.
const readers: Readonly<Record<DataFormat, Reader>> = {
  jsonl: { extensions: [".jsonl", ".ndjson"], readInto: readJsonlInto },
  json: { extensions: [".json"], readInto: readJsonInto },
  csv: {
    extensions: [".csv"],
    readInto: async (...call) => (await import("./_csv.ts")).readCsvInto(...call),
  },
  tsv: {
    extensions: [".tsv"],
    readInto: async (...call) => (await import("./_csv.ts")).readTsvInto(...call),
  },
  parquet: {
    extensions: [".parquet"],
    readInto: async (...call) => (await import("./_parquet.ts")).readParquetInto(...call),
  },
  conll: { extensions: [".conll"], readInto: readConllInto },
};

/** The formats of data files that are read. */
export const dataFormats = Object.keys(readers) as readonly DataFormat[];

/**
 * Reads the rows of a data file, or of several in their order, as they stand in it (Node only): text of CSV and TSV,
 * values of JSON, values of Parquet with lists and structures as such, 64-bit integers as numbers where they are exact
 * ones and as bigint elsewhere. Text must be UTF-8.
 *
 * The files are not trusted: what they may take of memory and time is bounded.
 *
 * @throws {CorruptFileError} naming file and line or row, what was expected and what is there.
 * @throws {DataLimitError} naming the limit that a file exceeds.
 * @throws {RangeError} if the format is unknown.
 * @throws the file system's error if a file can't be opened.
 *
 * @example
 * ```ts no-run
 * const { rows } = await readRows("train.parquet", { columns: ["text", "label"] });
 * ```
 */
export async function readRows(
  paths: string | readonly string[],
  options: ReadRowsOptions = {},
): Promise<RowSet> {
  const { maxBytes = 512 << 20, maxRows = 10_000_000, columns } = options;
  const collector = new RowCollector({ columns, maxRows });
  for (const path of typeof paths === "string" ? [paths] : paths) {
    options.signal?.throwIfAborted();
    const { readInto } = readers[formatOf(path, options.format)];
    await readInto(path, collector, { ...options, maxBytes, maxRows });
  }
  return collector;
}

function formatOf(path: string, stated: DataFormat | undefined): DataFormat {
  if (stated !== undefined && !Object.hasOwn(readers, stated)) {
    throw new RangeError(
      `Cannot read ${path}: format must be one of ${dataFormats.join(", ")}, got ${stated}`,
    );
  }
  const lower = path.toLowerCase();
  const format = stated ??
    dataFormats.find((format) => readers[format].extensions.some((extension) => lower.endsWith(extension)));
  if (format !== undefined) return format;
  throw new RangeError(
    `Cannot read ${path}: its extension tells no format; name the format, one of ${dataFormats.join(", ")}`,
  );
}
