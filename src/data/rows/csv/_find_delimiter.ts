import { CsvTokenizer } from "./_csv_tokenizer.ts";

/** Characters that may separate the values of a table of text, and their names. */
export const delimiterNames: ReadonlyMap<string, string> = new Map([
  [",", "commas"],
  [";", "semicolons"],
  ["\t", "tabs"],
  ["|", "vertical bars"],
]);

/** Options of {@linkcode findDelimiter}. */
export interface FindDelimiterOptions {
  /** The usual delimiter of the format. */
  readonly usual: string;
  readonly quotes: boolean;
  /** Names of the columns, where the first record doesn't have them. */
  readonly header?: readonly string[] | undefined;
  /** Columns that the reader looks for. */
  readonly columns?: readonly string[] | undefined;
}

/** Records that are examined. */
const MAX_RECORDS = 100;

/**
 * The delimiter of a table: the character with which the most wanted columns are found; then the one that splits most records
 * into as many values as there are columns; then the usual one.
 *
 * @param head the table's first records, or all of it.
 */
export function findDelimiter(head: string, options: FindDelimiterOptions): string {
  const { usual, header, columns = [] } = options;
  let best = { delimiter: usual, score: [0, 0, 0, 0] };
  for (const delimiter of delimiterNames.keys()) {
    const records = recordsOf(head, { ...options, delimiter });
    const names = header ?? records.shift();
    if (names === undefined || names.length < 2) continue;
    const known = new Set(names);
    const named = header === undefined ? columns.filter((name) => known.has(name)).length : 0;
    const even = records.filter(({ length }) => length === names.length).length / (records.length || 1);
    const score = [named, even, delimiter === usual ? 1 : 0, names.length];
    const first = score.findIndex((value, i) => value !== best.score[i]);
    if (first >= 0 && score[first]! > best.score[first]!) best = { delimiter, score };
  }
  return best.delimiter;
}

function recordsOf(
  head: string,
  options: { readonly delimiter: string; readonly quotes: boolean },
): string[][] {
  const tokenizer = new CsvTokenizer(options);
  try {
    const records = tokenizer.push(head);
    return (records.length > 0 ? records : tokenizer.end()).slice(0, MAX_RECORDS).map(({ values }) => values);
  } catch {
    // Quotations may end properly with another delimiter; if not, reading the file says what is wrong.
    return [];
  }
}
