import { CorruptFileError } from "../../errors.ts";
import { cut } from "../../text/excerpt.ts";
import type { RowCollector } from "../collector.ts";
import type { CsvRecord } from "./_csv_tokenizer.ts";

/** Options of a {@linkcode Table}. */
export interface TableOptions {
  /** The columns to keep; all by default. */
  readonly columns?: readonly string[] | undefined;
  /** Names of the columns; by default the first record has them. */
  readonly header?: readonly string[] | undefined;
  readonly delimiter: string;
}

/** Turns a file's records into rows. */
export class Table {
  readonly #path: string;
  readonly #rows: RowCollector;
  readonly #options: TableOptions;
  #numRecords = 0;
  /** Indices of the columns that are kept, and of those without a name. */
  #kept: (readonly [name: string, place: number])[] = [];
  #unnamed: number[] = [];
  #names: readonly string[] = [];
  /** The number of records that repeat the header, and the line of the first. */
  #repeated = { count: 0, line: 0 };
  /** The number of values in columns without a name, and the line of the first. */
  #passedOver = { count: 0, line: 0 };
  /** The line of the first value that seems to contain rows. */
  #engulfing: number | undefined;

  constructor(path: string, rows: RowCollector, options: TableOptions) {
    this.#path = path;
    this.#rows = rows;
    this.#options = options;
    if (options.header !== undefined) this.#name(options.header);
  }

  /** Adds the row of a record, unless it names the columns. */
  add({ values, line }: CsvRecord): void {
    const isFirst = this.#numRecords++ === 0;
    const { header, delimiter } = this.#options;
    if (isFirst && header === undefined) return this.#name(values);
    // A file may have a header line although the options name the columns.
    if (isFirst && header?.every((name, i) => name.trim() === "" || name === values[i])) return;
    const width = this.#names.length;
    if (values.length > width && values.slice(width).some((value) => value !== "")) {
      const isSecond = header === undefined && this.#numRecords === 2;
      throw new CorruptFileError(
        `Cannot read line ${line} of ${this.#path}: expected ${width} ${
          width === 1 ? "value" : "values"
        }, got ` +
          `${values.length}; ${
            isSecond ? "the first line must name all columns, and " : ""
          }a value that contains ` +
          `${JSON.stringify(delimiter)} must be in quotation marks`,
      );
    }
    // Where files were joined, or a spreadsheet's pages.
    if (width > 1 && values.length === width && values.every((value, i) => value === this.#names[i])) {
      if (this.#repeated.count++ === 0) this.#repeated.line = line;
      return;
    }
    if (values.some((value) => value.includes("\n") && this.#holdsRows(value))) this.#engulfing ??= line;
    for (const i of this.#unnamed) {
      if ((values[i] ?? "") === "") continue;
      if (this.#passedOver.count++ === 0) this.#passedOver.line = line;
    }
    this.#rows.add(Object.fromEntries(this.#kept.map(([name, i]) => [name, values[i] ?? null])), line);
  }

  /** Reports what the user should know about the file. */
  finish(onNotice: ((message: string) => void) | undefined): void {
    if (this.#repeated.count > 0) {
      onNotice?.(
        `${this.#path}: lines that name the columns again were left out, first line ${this.#repeated.line} ` +
          `(${this.#repeated.count} in all)`,
      );
    }
    const { count, line } = this.#passedOver;
    if (count > 0) {
      onNotice?.(
        `${this.#path}: ${count} values in columns without a name were ignored, the first at line ${line}`,
      );
    }
    if (this.#engulfing !== undefined) {
      onNotice?.(
        `${this.#path}: a value at line ${this.#engulfing} spans lines that look like rows; if quotation marks are part ` +
          "of the text in this file, set quotes to false",
      );
    }
  }

  #name(header: readonly string[]): void {
    const wanted = this.#options.columns && new Set(this.#options.columns);
    const places = new Map<string, number>();
    header.forEach((name, i) => {
      if (name.trim() === "") {
        this.#unnamed.push(i);
      } else if (wanted?.has(name) ?? true) {
        if (places.has(name)) {
          throw new CorruptFileError(
            `Cannot read ${this.#path}: two columns are named ${JSON.stringify(cut(name))}`,
          );
        }
        places.set(name, i);
      }
    });
    this.#names = header;
    this.#kept = [...places];
    this.#rows.addColumns(header.filter((name) => name.trim() !== ""));
  }

  /** Whether each line of a value, except the last, has as many delimiters as a row. */
  #holdsRows(value: string): boolean {
    const width = this.#names.length;
    return width > 1 &&
      value.split("\n").slice(0, -1).every((line) => line.split(this.#options.delimiter).length === width);
  }
}
