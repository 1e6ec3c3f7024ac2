import { CorruptFileError, DataLimitError } from "../../errors.ts";
import type { RowCollector } from "../collector.ts";
import { type CsvOddity, type CsvRecord, CsvTokenizer } from "./_csv_tokenizer.ts";
import { delimiterNames, findDelimiter } from "./_find_delimiter.ts";
import type { ReadInto, ReadIntoOptions } from "../read_into.ts";
import { readText } from "../text/read_text.ts";
import { Table } from "./table.ts";

/** Lines and characters at the start of a file in which the delimiter is looked for. */
const HEAD = { lines: 20, characters: 4 << 20 };

/** Words that pandas' `read_csv` reads as a missing value, beside the empty text. */
const MISSING_WORDS: ReadonlySet<string> = new Set([
  ...["#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"],
  ...["NA", "NULL", "NaN", "None", "n/a", "nan", "null"],
]);

/** Values with a comma between them; see {@linkcode readTable}. */
export const readCsvInto: ReadInto = (path, rows, options) =>
  readTable(path, rows, { ...options, usual: "," });

/** Values with a tab between them; see {@linkcode readTable}. */
export const readTsvInto: ReadInto = (path, rows, options) =>
  readTable(path, rows, { ...options, usual: "\t" });

/**
 * Records of text, of which the first names the columns unless the options do; blank lines and columns without a name are
 * skipped. A value that is missing at the end of a record is null.
 */
async function readTable(
  path: string,
  rows: RowCollector,
  options: ReadIntoOptions & { readonly usual: string },
): Promise<void> {
  const { usual, header, columns, quotes = true, onNotice } = options;
  rows.beginFile(path, {
    unit: "line",
    missingWords: MISSING_WORDS,
    ...(header === undefined && {
      columnAdvice:
        "name the columns by header if its first line is an example, or set delimiter if something else separates values",
    }),
  });
  const pieces = readText(path, options);
  const [head, stated] = takeStatement(await readHead(pieces));
  const delimiter = options.delimiter ?? stated ?? findDelimiter(head, { usual, quotes, header, columns });
  if (options.delimiter === undefined && stated === undefined && delimiter !== usual) {
    const [found, expected] = [delimiter, usual].map((each) => delimiterNames.get(each));
    onNotice?.(
      `${path}: values are separated by ${found}, not ${expected}; set delimiter if that is wrong`,
    );
  }
  const table = new Table(path, rows, { columns, delimiter, header });
  const tokenizer = new CsvTokenizer({ delimiter, quotes, line: stated === undefined ? 1 : 2 });
  const add = (read: () => CsvRecord[]) => {
    for (const record of located(path, read)) table.add(record);
  };
  add(() => tokenizer.push(head));
  for await (const piece of pieces) add(() => tokenizer.push(piece));
  add(() => tokenizer.end());
  table.finish(onNotice);
  const { continued, spaced } = tokenizer;
  const first = ({ line, count }: CsvOddity) => `first at line ${line} (${count} in all)`;
  if (continued.count > 0) {
    onNotice?.(
      `${path}: values go on after their closing quotation mark, ${
        first(continued)
      }, and lose their marks, as in pandas; if ` +
        "quotation marks are part of the text in this file, set quotes to false",
    );
  }
  if (spaced.count > 0) {
    onNotice?.(
      `${path}: values have a blank before their quotation marks, ${
        first(spaced)
      }, and keep blank and marks, as in pandas; ` +
        "leave no blanks after delimiters if quotation marks aren't part of the text",
    );
  }
}

/** The text without a first line such as `sep=;`, by which Excel knows the delimiter, and that delimiter. */
function takeStatement(head: string): readonly [rest: string, delimiter?: string] {
  const match = /^sep=([^"\r\n])(?:\r\n?|\n)/.exec(head);
  return match === null ? [head] : [head.slice(match[0].length), match[1]!];
}

/** The start of a file: whole pieces, until there are enough lines. */
async function readHead(pieces: AsyncGenerator<string>): Promise<string> {
  let head = "";
  for (let lines = 0; lines < HEAD.lines && head.length < HEAD.characters;) {
    const { value, done } = await pieces.next();
    if (done) break;
    head += value;
    lines += value.split(/[\r\n]/, HEAD.lines).length - 1;
  }
  return head;
}

/** Adds the file's name to errors of the tokenizer. */
function located<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CorruptFileError || error instanceof DataLimitError)) throw error;
    error.message = `Cannot read ${error.message.replace(/:/, ` of ${path}:`)}`;
    throw error;
  }
}
