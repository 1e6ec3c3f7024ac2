import { CorruptFileError, DataLimitError } from "../errors.ts";
import type { Row, RowSet } from "./row_set.ts";

/** The most column names that are kept: each object of a file may have keys of its own. */
const MAX_COLUMNS = 10_000;

/** Options of a {@linkcode RowCollector}. */
export interface RowCollectorOptions {
  /** The columns to keep; all by default. */
  readonly columns?: readonly string[] | undefined;
  readonly maxRows: number;
}

/** What a file's rows have in common. */
export interface FileOptions {
  /** What a row is numbered by, for messages: `line`, `row` or `question`. */
  readonly unit: string;
  /** Words that mean a missing value. */
  readonly missingWords?: ReadonlySet<string>;
  /** What to do where a column isn't found. */
  readonly columnAdvice?: string;
}

interface FileOfRows extends FileOptions {
  /** Index of its first row. */
  readonly first: number;
  readonly path: string;
}

/** Gathers the rows of files as they are read. */
export class RowCollector implements RowSet {
  readonly rows: Row[] = [];
  readonly columns = new Set<string>();
  readonly classNames = new Map<string, readonly string[]>();
  readonly #options: RowCollectorOptions;
  readonly #numbers: number[] = [];
  readonly #files: FileOfRows[] = [];

  constructor(options: RowCollectorOptions) {
    this.#options = options;
  }

  /** Begins a file. */
  beginFile(path: string, options: FileOptions): void {
    this.#files.push({ ...options, first: this.rows.length, path });
  }

  /** Adds a row of the file that was begun last. */
  add(row: Row, number: number): void {
    const { columns, maxRows } = this.#options;
    if (this.rows.length >= maxRows) {
      const { path } = this.#files.at(-1)!;
      throw new DataLimitError(`Cannot read ${path}: there may be ${maxRows} rows (maxRows), got more`);
    }
    this.addColumns(Object.keys(row));
    this.rows.push(columns === undefined ? row : picked(row, columns));
    this.#numbers.push(number);
  }

  /** Notes that there are columns. */
  addColumns(names: Iterable<string>): void {
    for (const name of names) if (this.columns.size < MAX_COLUMNS) this.columns.add(name);
  }

  /** Notes what a column's whole numbers stand for; files that are read together must agree. */
  addClassNames(column: string, names: readonly string[]): void {
    const known = this.classNames.get(column);
    if (known !== undefined && known.join("\n") !== names.join("\n")) {
      const { path } = this.#files.at(-1)!;
      throw new CorruptFileError(
        `Cannot read ${path}: the classes of column ${column} differ from those of the files before it`,
      );
    }
    this.classNames.set(column, names);
  }

  /** The place of a row in its file. */
  place(index: number): string {
    const { unit, path } = this.#fileOf(index);
    return `${unit} ${this.#numbers[index]} of ${path}`;
  }

  /** Words that mean a missing value in a row. */
  missingWords(index: number): ReadonlySet<string> {
    return this.#fileOf(index).missingWords ?? NO_WORDS;
  }

  /** What to do where a row's file has no column of a name. */
  columnAdvice(index: number): string | undefined {
    return this.#fileOf(index).columnAdvice;
  }

  /** The file of a row: the last one that begins before it. */
  #fileOf(index: number): FileOfRows {
    let [low, high] = [0, this.#files.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#files[middle]!.first <= index) low = middle;
      else high = middle;
    }
    return this.#files[low]!;
  }
}

const NO_WORDS: ReadonlySet<string> = new Set();

function picked(row: Row, columns: readonly string[]): Row {
  return Object.fromEntries(columns.flatMap((name) => Object.hasOwn(row, name) ? [[name, row[name]]] : []));
}
