import { pipeline } from "node:stream/promises";
import { CsvError, type Info, parse } from "csv-parse";
import { CorruptFileError, DataLimitError } from "../errors.ts";
import type { RowCollector } from "./_collector.ts";
import type { ReadInto, ReadIntoOptions } from "./_read_into.ts";
import { readText } from "./_read_text.ts";

/** Longest record, in bytes. */
const MAX_RECORD = 64 << 20;

/** Values with a comma between them; see {@linkcode readSeparated}. */
export const readCsvInto: ReadInto = (path, rows, options) =>
  readSeparated(path, rows, { ...options, delimiter: "," });

/** Values with a tab between them; see {@linkcode readSeparated}. */
export const readTsvInto: ReadInto = (path, rows, options) =>
  readSeparated(path, rows, { ...options, delimiter: "\t" });

/** Records of text (RFC 4180), of which the first names the columns unless the options do; blank lines are passed over. */
async function readSeparated(
  path: string,
  rows: RowCollector,
  options: ReadIntoOptions & { readonly delimiter: string },
): Promise<void> {
  const parser = parse({
    delimiter: options.delimiter,
    info: true,
    max_record_size: MAX_RECORD,
    quote: options.quotes === false ? false : '"',
    record_delimiter: ["\r\n", "\n", "\r"],
    // Counted below, where the message can tell what was expected.
    relax_column_count: true,
    skip_empty_lines: true,
  });
  rows.beginFile(path, "line");
  // Where the record after the last good one begins, but for blank lines.
  let next = 1;
  let columns = options.header && checkColumns(path, options.header);
  try {
    await pipeline(readText(path, options), parser, async (records) => {
      for await (const { record, info } of records as AsyncIterable<{ record: string[]; info: Info }>) {
        next = info.lines + 1;
        if (columns === undefined) {
          columns = checkColumns(path, record);
          continue;
        }
        // The parser counts up to the end of the record.
        const line = info.lines - record.reduce((sum, value) => sum + value.split("\n").length - 1, 0);
        if (record.length !== columns.length) {
          throw new CorruptFileError(
            `Cannot read line ${line} of ${path}: expected ${columns.length} values, got ${record.length}`,
          );
        }
        rows.add(Object.fromEntries(columns.map((name, i) => [name, record[i]])), line);
      }
    });
  } catch (error) {
    throw error instanceof CsvError ? explain(path, error, next) : error;
  }
}

function checkColumns(path: string, columns: readonly string[]): readonly string[] {
  const repeated = columns.find((name, i) => columns.indexOf(name) < i);
  if (repeated === undefined) return columns;
  throw new CorruptFileError(`Cannot read ${path}: two columns are named ${JSON.stringify(repeated)}`);
}

function explain(path: string, error: CsvError, next: number): Error {
  // A quotation that is never closed is noticed at the end of the file.
  const number = error.code === "CSV_QUOTE_NOT_CLOSED" ? next : error["lines"];
  const line = typeof number === "number" ? `line ${number} of ${path}` : path;
  const cause = { cause: error };
  switch (error.code) {
    case "CSV_MAX_RECORD_SIZE":
      return new DataLimitError(`Cannot read ${line}: a record may take ${MAX_RECORD} bytes`, cause);
    case "CSV_QUOTE_NOT_CLOSED":
    case "CSV_INVALID_CLOSING_QUOTE":
    case "INVALID_OPENING_QUOTE":
      return new CorruptFileError(
        `Cannot read ${line}: a quotation mark stands where none may, or is never closed; if they are part of the ` +
          `text in this file, set quotes to false`,
        cause,
      );
    default:
      return new CorruptFileError(`Cannot read ${line}: ${error.message}`, cause);
  }
}
