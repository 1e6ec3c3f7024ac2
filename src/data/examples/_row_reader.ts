import { CorruptFileError } from "../errors.ts";
import { cut, excerpt } from "../text/excerpt.ts";
import { nearestKey } from "../text/nearest_key.ts";
import { isLiteral, parseLiteral } from "./_literal.ts";
import type { RowSet } from "../rows/row_set.ts";

/** An example has no label; the message says what it has instead. */
export class MissingLabelError extends CorruptFileError {}

/** Options of {@linkcode RowReader.label} and {@linkcode RowReader.labels}. */
export interface LabelOptions {
  /** Names of the classes by number; by default those that the file has. */
  readonly classNames?: readonly string[] | undefined;
}

/** Options of {@linkcode RowReader.names} and {@linkcode RowReader.labels}. */
export interface ListOptions {
  /** The separator between the parts of a text. */
  readonly separator?: string | undefined;
}

/** Reads the values of one row as the wanted types, with errors that name the place. */
export class RowReader {
  readonly #set: RowSet;
  readonly #index: number;
  readonly #classes: ReadonlySet<string>;
  readonly #remarks: Map<string, string[]>;

  /**
   * @param classes words that are labels even if they usually mean a missing one.
   * @param remarks collects the remarks of {@linkcode remark}, with the places of the rows.
   */
  constructor(
    set: RowSet,
    index: number,
    classes: ReadonlySet<string> = new Set(),
    remarks: Map<string, string[]> = new Map(),
  ) {
    this.#set = set;
    this.#index = index;
    this.#classes = classes;
    this.#remarks = remarks;
  }

  /** Number of the row, from 0. */
  get index(): number {
    return this.#index;
  }

  /** Records a remark about a row, worded so that several rows can share it. */
  remark(what: string): void {
    const places = this.#remarks.get(what) ?? [];
    this.#remarks.set(what, places);
    places.push(this.#set.place(this.#index));
  }

  /** Whether there is a column of a name. */
  has(column: string): boolean {
    return this.#set.columns.has(column);
  }

  /** A value as it stands. */
  value(column: string): unknown {
    const row = this.#set.rows[this.#index]!;
    return Object.hasOwn(row, column) ? row[column] : undefined;
  }

  /** Text. */
  text(column: string): string {
    const value = this.value(column);
    if (typeof value === "string") return value;
    throw this.wrong(column, "text", value);
  }

  /** Text that isn't empty, a number or a truth value, as text. */
  name(column: string): string {
    const value = this.value(column);
    if (typeof value === "string" && isBlank(value)) throw this.wrong(column, "text or a number", value);
    return this.#nameOf(column, value);
  }

  /** A list of texts, numbers or truth values, as such or as JSON or Python writes it, or a text that a separator splits. */
  names(column: string, { separator }: ListOptions = {}): string[] {
    // Words may be brackets, too.
    const value = this.value(column);
    const isText = separator !== undefined && typeof value === "string" && !/^\[['"]/.test(value);
    return (isText ? partsOf(value, separator) : this.#list(column, { separator })).map((item) =>
      this.#nameOf(column, item)
    );
  }

  /** A label: text, the number of a class, another number, or a truth value. */
  label(column: string, options: LabelOptions = {}): string {
    return this.#labelOf(column, this.value(column), options);
  }

  /** A list of what {@linkcode label} gives, in the forms of {@linkcode names}. */
  labels(column: string, options: LabelOptions & ListOptions = {}): string[] {
    this.#requireLabels(column);
    return this.#list(column, options).map((item, i) =>
      this.#labelOf(column, item, { ...options, item: i + 1 })
    );
  }

  /** Those of some labels for which a list has a 1 or true. */
  indicated(column: string, names: readonly string[]): string[] {
    this.#requireLabels(column);
    const items = this.#list(column, {});
    return names.filter((_, i) => items[i] === 1 || items[i] === true);
  }

  #requireLabels(column: string): void {
    const value = this.value(column);
    if (value !== "" && this.isMissing(column, value)) throw this.#missing(column, value);
  }

  /** A finite number as a label, as such or as text. */
  number(column: string): number {
    return this.#numberOf(column, this.value(column), "a number");
  }

  /** What {@linkcode number} gives, or a list of several. */
  numbers(column: string): number | number[] {
    const stated = this.value(column);
    const value = typeof stated === "string" && isLiteral(stated) ? parsedList(stated) : stated;
    if (!Array.isArray(value) || value.length === 0) return this.number(column);
    if (value.length === 1) return this.#numberOf(column, value[0], "a number");
    return value.map((item) => this.#numberOf(column, item, "a list of numbers"));
  }

  #numberOf(column: string, value: unknown, expected: string): number {
    if (this.isMissing(column, value)) throw this.#missing(column, value);
    const isWritten = typeof value === "bigint" || typeof value === "string" && NUMBER.test(value);
    const number = isWritten ? Number(value) : value;
    if (typeof number === "number" && Number.isFinite(number)) return number;
    const hint = typeof value === "string" && /^\s*[+-]?\d+,\d+\s*$/.test(value)
      ? " with a decimal point"
      : "";
    throw this.wrong(column, `${expected}${hint}`, this.value(column));
  }

  /** Whether the label that the column is named after applies. */
  applies(column: string): boolean {
    const value = this.value(column);
    if (this.isMissing(column, value)) throw this.#missing(column, value);
    const text = String(value).trim().toLowerCase();
    if (/^(1|1\.0*|true)$/.test(text)) return true;
    if (/^(0|0\.0*|false)$/.test(text)) return false;
    throw this.wrong(column, "1 or 0, true or false", value);
  }

  /** Whether a value means that the label is missing. */
  isMissing(column: string, value: unknown): boolean {
    if (typeof value === "string") {
      if (this.#classes.has(value)) return false;
      return isBlank(value) || value === "NaN" || value === "nan" ||
        (this.#set.missingWords?.(this.#index).has(value) ?? false);
    }
    if (value === undefined) return this.#set.columns.has(column);
    return value === null || Number.isNaN(value);
  }

  #list(column: string, { separator }: ListOptions): unknown[] {
    const value = this.value(column);
    if (Array.isArray(value)) return value;
    const isList = typeof value === "string" && isLiteral(value);
    const list = isList ? parsedList(value) : undefined;
    if (list !== undefined) return list;
    if (typeof value === "string" && separator !== undefined) return partsOf(value, separator);
    const form = isList ? " with commas, as JSON or Python writes it" : "";
    throw this.wrong(
      column,
      `a list${form}${separator === undefined ? " (or text, with a separator)" : ""}`,
      value,
    );
  }

  #labelOf(column: string, value: unknown, options: LabelOptions & { readonly item?: number }): string {
    const classNames = options.classNames ?? this.#set.classNames.get(column);
    // `datasets` writes -1 for an unknown class.
    if (this.isMissing(column, value) || classNames !== undefined && value === -1) {
      throw this.#missing(column, value, options.item);
    }
    if (classNames === undefined || typeof value === "string") return this.#nameOf(column, value);
    const name = typeof value === "number" ? classNames[value] : undefined;
    if (name !== undefined) return name;
    throw this.wrong(column, `the number of a class, less than ${classNames.length}`, value);
  }

  #nameOf(column: string, value: unknown): string {
    if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw this.wrong(column, "text, or a number that is kept exactly", value);
    }
    const isName = typeof value === "string" || typeof value === "boolean" || typeof value === "bigint" ||
      typeof value === "number" && Number.isFinite(value);
    if (!isName) throw this.wrong(column, "text or a number", value);
    return String(value);
  }

  #missing(column: string, value: unknown, item?: number): MissingLabelError {
    const word = typeof value === "string" && !isBlank(value)
      ? `, or, if ${excerpt(value)} is a class, name all classes in labels`
      : "";
    return new MissingLabelError(
      `Cannot read ${this.#set.place(this.#index)}: column ${cut(column)} must have a label${
        item === undefined ? "" : ` at item ${item}`
      }, got ${excerpt(value)}; fill it in, or set missingLabels to "drop" to leave such examples out${word}`,
    );
  }

  /** The error for a value that isn't what it must be. */
  wrong(column: string, expected: string, value: unknown): CorruptFileError {
    const hint = value === undefined && !this.#set.columns.has(column) ? this.#columnHint(column) : "";
    return this.error(`column ${cut(column)} must be ${expected}, got ${excerpt(value)}${hint}`);
  }

  #columnHint(column: string): string {
    const columns = [...this.#set.columns];
    const nearest = nearestKey(column, columns);
    const advice = nearest === undefined
      ? this.#set.columnAdvice?.(this.#index)
      : `did you mean ${excerpt(nearest)}?`;
    const more = columns.length > 20 ? ` and ${columns.length - 20} more` : "";
    return `; the columns are ${columns.slice(0, 20).map(cut).join(", ")}${more}${
      advice === undefined ? "" : `; ${advice}`
    }`;
  }

  /** An error that names the row. */
  error(what: string): CorruptFileError {
    return new CorruptFileError(`Cannot read ${this.#set.place(this.#index)}: ${what}`);
  }
}

/** A decimal number as text. */
const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;

/** The list that a text writes out; undefined if it isn't one. */
function parsedList(text: string): unknown[] | undefined {
  try {
    const value = parseLiteral(text);
    return Array.isArray(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function partsOf(text: string, separator: string): string[] {
  return text.split(separator).map((part) => part.trim()).filter((part) => part !== "");
}

/** Whether a text has no visible characters. */
function isBlank(text: string): boolean {
  return /^[\s\p{Cf}]*$/u.test(text);
}
