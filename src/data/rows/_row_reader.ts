import { CorruptFileError } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { RowSet } from "./row_set.ts";

/** Options of {@linkcode RowReader.name} and {@linkcode RowReader.names}. */
export interface NameOptions {
  /** What whole numbers stand for; by default as the file tells. */
  readonly classNames?: readonly string[] | undefined;
}

/** Values of one row as what they are to be, with errors that name the place. */
export class RowReader {
  readonly #set: RowSet;
  readonly #index: number;

  constructor(set: RowSet, index: number) {
    this.#set = set;
    this.#index = index;
  }

  /** Number of the row, from 0. */
  get index(): number {
    return this.#index;
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

  /** A finite number, as such or as text. */
  number(column: string): number {
    return this.#numberOf(column, this.value(column), "a number");
  }

  /** What {@linkcode number} gives, or a list of several. */
  numbers(column: string): number | number[] {
    const value = this.value(column);
    if (!Array.isArray(value) || value.length < 2) return this.number(column);
    return value.map((item) => this.#numberOf(column, item, "a list of numbers"));
  }

  #numberOf(column: string, value: unknown, expected: string): number {
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof number === "number" && Number.isFinite(number)) return number;
    throw this.wrong(column, expected, this.value(column));
  }

  /** Text, or what stands for it: the name of a class's number, a number or a truth value. */
  name(column: string, options: NameOptions = {}): string {
    return this.#nameOf(column, this.value(column), options);
  }

  /** A list of what {@linkcode name} gives; a text is parted by a separator if there is one. */
  names(column: string, options: NameOptions & { readonly separator?: string | undefined } = {}): string[] {
    const { separator } = options;
    const value = this.value(column);
    if (typeof value === "string" && separator !== undefined) {
      return value.split(separator).map((part) => part.trim()).filter((part) => part !== "");
    }
    if (!Array.isArray(value)) {
      throw this.wrong(
        column,
        `a list${separator === undefined ? " (or text, with a separator)" : ""}`,
        value,
      );
    }
    return value.map((item) => this.#nameOf(column, item, options));
  }

  #nameOf(column: string, value: unknown, options: NameOptions): string {
    const classNames = options.classNames ?? this.#set.classNames.get(column);
    if (classNames !== undefined && typeof value !== "string") {
      const name = typeof value === "number" ? classNames[value] : undefined;
      if (name !== undefined) return name;
      throw this.wrong(column, `the number of a class, less than ${classNames.length}`, value);
    }
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
      return String(value);
    }
    throw this.wrong(column, "text or a number", value);
  }

  /** The error for a value that isn't what it must be. */
  wrong(column: string, expected: string, value: unknown): CorruptFileError {
    const { columns } = this.#set;
    const known = [...columns].slice(0, 20).join(", ");
    const hint = value === undefined && !columns.has(column) ? `; there are the columns ${known}` : "";
    return this.error(`column ${column} must be ${expected}, got ${excerpt(value)}${hint}`);
  }

  /** An error that names the row. */
  error(what: string): CorruptFileError {
    return new CorruptFileError(`Cannot read ${this.#set.place(this.#index)}: ${what}`);
  }
}
