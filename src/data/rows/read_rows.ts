import { encodingOf } from "./text/encoding.ts";
import { RowCollector } from "./collector.ts";
import { readConllInto } from "./conll/conll.ts";
import { readJsonInto } from "./json/json.ts";
import { readJsonlInto } from "./json/jsonl.ts";
import type { ReadInto } from "./read_into.ts";
import type { RowSet } from "./row_set.ts";

/** A format of data files. */
export type DataFormat = "jsonl" | "json" | "csv" | "tsv" | "parquet" | "conll";

/** A data file: its path, or its content and name as the file pickers of web pages give them. */
export type DataFile = string | File;

/** Options of {@linkcode readRows}. */
export interface ReadRowsOptions {
  /** By default as the extension of the file says: `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.parquet`, `.conll`, `.conllu`. */
  readonly format?: DataFormat;
  /** The columns to keep; all by default. */
  readonly columns?: readonly string[];
  /**
   * Names of the columns of CSV, TSV or CoNLL; by default the first line of CSV and TSV has them, and CoNLL has the word in the
   * first column and the tag in the last. Columns with an empty name are skipped.
   */
  readonly header?: readonly string[];
  /** Whether quotation marks enclose values of CSV or TSV, or are part of them. True by default. */
  readonly quotes?: boolean;
  /** The character between values of CSV or TSV; by default found among `,`, `;`, tab and `|`. */
  readonly delimiter?: string;
  /** How text is encoded, as {@linkcode encodingOf} takes it; by default as a byte order mark says, or else UTF-8. */
  readonly encoding?: string;
  /** Most bytes of a file, and of the data in a compressed one; 512 MiB by default. */
  readonly maxBytes?: number;
  /** Most rows of all files together; 10 million by default. */
  readonly maxRows?: number;
  /** Called with what the user should know about a file, such as an unusual delimiter. */
  readonly onNotice?: (message: string) => void;
  /** Stops reading and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const formatOptions = ["header", "delimiter", "encoding"] as const;

/** An option on how a file is read that doesn't apply to every format. */
export type FormatOption = (typeof formatOptions)[number];

interface Reader {
  readonly extensions: readonly string[];
  readonly takes: readonly FormatOption[];
  readonly readInto: ReadInto;
}

// Libraries are loaded when a file needs them: a program that reads no CSV starts without its parser.
const readers: Readonly<Record<DataFormat, Reader>> = {
  jsonl: { extensions: [".jsonl", ".ndjson"], takes: ["encoding"], readInto: readJsonlInto },
  json: { extensions: [".json"], takes: ["encoding"], readInto: readJsonInto },
  csv: {
    extensions: [".csv"],
    takes: ["header", "delimiter", "encoding"],
    readInto: async (...call) => (await import("./csv/csv.ts")).readCsvInto(...call),
  },
  tsv: {
    extensions: [".tsv"],
    takes: ["header", "delimiter", "encoding"],
    readInto: async (...call) => (await import("./csv/csv.ts")).readTsvInto(...call),
  },
  parquet: {
    extensions: [".parquet"],
    takes: [],
    readInto: async (...call) => (await import("./_parquet.ts")).readParquetInto(...call),
  },
  conll: { extensions: [".conll", ".conllu"], takes: ["header", "encoding"], readInto: readConllInto },
};

/** The formats of data files that are read. */
export const dataFormats = Object.keys(readers) as readonly DataFormat[];

/**
 * Reads the rows of a data file, or of several in their order, as they stand in it: text of CSV and TSV,
 * values of JSON, values of Parquet with lists and structures as such, 64-bit integers as numbers where they are exact
 * ones and as bigint elsewhere. Of equal keys of a JSON object, the last one counts.
 *
 * A file is a path (Node only), or a `File` as the file pickers of web pages give; Parquet is read by path alone.
 * Files are not trusted: the memory and time that reading them takes are bounded.
 *
 * @throws {CorruptFileError} naming file and line or row, the expected and the actual value.
 * @throws {DataLimitError} naming the limit that a file exceeds.
 * @throws {RangeError} if the format or encoding is unknown, the delimiter isn't one character, or an option doesn't
 *   apply to the format.
 * @throws the file system's error if a file can't be opened.
 *
 * @example
 * ```ts no-run
 * const { rows } = await readRows("train.parquet", { columns: ["text", "label"] });
 * ```
 */
export async function readRows(
  files: DataFile | readonly DataFile[],
  options: ReadRowsOptions = {},
): Promise<RowSet> {
  const { maxBytes = 512 << 20, maxRows = 10_000_000, columns, delimiter } = options;
  const refuse = (what: string) => new RangeError(`Cannot read ${namesOf(files)}: ${what}`);
  if (delimiter !== undefined && !isDelimiter(delimiter)) {
    throw refuse(`delimiter must be one character, got ${JSON.stringify(delimiter)}`);
  }
  try {
    if (options.encoding !== undefined) encodingOf(options.encoding);
  } catch (error) {
    throw refuse(`encoding: ${(error as Error).message}`);
  }
  const collector = new RowCollector({ columns, maxRows });
  for (const file of [files].flat()) {
    options.signal?.throwIfAborted();
    const [path, content] = typeof file === "string" ? [file] : [file.name, file];
    const format = formatOf(path, options.format);
    const odd = unusedOptions(format).find((name) => options[name] !== undefined);
    if (odd !== undefined) {
      throw new RangeError(`Cannot read ${path}: ${odd} doesn't apply to the format ${format}; leave it out`);
    }
    await readers[format].readInto(path, collector, { ...options, maxBytes, maxRows, content });
  }
  return collector;
}

/** Names of files, for messages. */
export function namesOf(files: DataFile | readonly DataFile[]): string {
  return [files].flat().map((file) => typeof file === "string" ? file : file.name).join(", ");
}

/** The options that don't apply to a format. */
export function unusedOptions(format: DataFormat): FormatOption[] {
  return formatOptions.filter((name) => !readers[format].takes.includes(name));
}

/** Whether a text can separate the values of CSV or TSV. */
export function isDelimiter(text: string): boolean {
  return /^[^"\r\n]$/.test(text);
}

/** The format that a file's extension means; undefined if it is unknown. */
export function findFormat(path: string): DataFormat | undefined {
  const lower = path.toLowerCase();
  return dataFormats.find((format) =>
    readers[format].extensions.some((extension) => lower.endsWith(extension))
  );
}

/** Extensions of files that can't be read, and advice for each. */
const OTHERS: readonly (readonly [extensions: RegExp, advice: string])[] = [
  [/\.(gz|zip|zst|bz2|xz|7z|tar|tgz)$/i, "it is packed; unpack it"],
  [
    /\.(arrow|feather)$/i,
    "Arrow files aren't read; write Parquet, as datasets, pandas and polars do",
  ],
  [
    /\.(pkl|pickle|pt|npy|npz|h5|hdf5)$/i,
    "it is a Python data file; write Parquet or JSONL from Python",
  ],
  [/\.(xlsx?|ods)$/i, "it is a spreadsheet; save it as CSV"],
];

/** Advice for a file that can't be read, by its extension; undefined if there is none. */
export function formatAdvice(path: string): string | undefined {
  return OTHERS.find(([extensions]) => extensions.test(path))?.[1];
}

function formatOf(path: string, stated: DataFormat | undefined): DataFormat {
  if (stated !== undefined && !Object.hasOwn(readers, stated)) {
    throw new RangeError(
      `Cannot read ${path}: format must be one of ${dataFormats.join(", ")}, got ${stated}`,
    );
  }
  const format = stated ?? findFormat(path);
  if (format !== undefined) return format;
  const advice = formatAdvice(path);
  if (advice !== undefined) throw new RangeError(`Cannot read ${path}: ${advice}`);
  throw new RangeError(
    `Cannot read ${path}: its extension names no format; set format to one of ${dataFormats.join(", ")}`,
  );
}
