import { Buffer } from "node:buffer";
import {
  appendFileSync,
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { CorruptFileError, WriteError } from "../data/errors.ts";
import { describeCause } from "../data/files/describe_cause.ts";
import { writeFileAtomic } from "../data/files/write_file.ts";

/** What a history file holds. */
export interface History {
  /** One record a line, oldest first. */
  readonly records: Record<string, unknown>[];
  /** What is left of a last line whose writing was interrupted, if there is one. */
  readonly tornLine: string | undefined;
}

/**
 * Appends records to a JSONL file, one JSON object a line. A record has reached the operating system when `append`
 * returns, so Ctrl-C, a crash of the program or a kill loses none of them; at worst the line being written is torn,
 * which {@linkcode readHistory} reports. An existing file is continued, without its torn line.
 *
 * @example
 * ```ts no-run
 * using history = new HistoryWriter("runs/history.jsonl");
 * history.append({ round: 1, trainLoss: 0.69 });
 * ```
 */
export class HistoryWriter {
  readonly #path: string;
  #file: number | undefined;

  /**
   * Opens the file, or makes it; its folder must exist.
   *
   * @throws {WriteError} naming the path if the file cannot be opened for writing
   * @throws {CorruptFileError} if the file exists and is no history
   */
  constructor(path: string) {
    this.#path = path;
    this.#file = this.#write(() => openSync(path, "a+"));
    try {
      this.#continue(this.#file);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Adds one record.
   *
   * @throws {RangeError} if a number is NaN or infinite, which JSON would turn into null without a word
   * @throws {WriteError} if the disk is full or the folder is gone
   * @throws {TypeError} if the writer is closed
   */
  append(record: Readonly<Record<string, unknown>>): void {
    const line = `${JSON.stringify(record, refuseNonFinite)}\n`;
    const file = this.#file;
    if (file === undefined) throw new TypeError(`Cannot append to history ${this.#path}: it is closed`);
    this.#write(() => {
      // What is appended to a removed file would be lost silently.
      if (fstatSync(file).nlink === 0) throw new Error("it has been removed");
      appendFileSync(file, line);
    });
  }

  /**
   * Flushes the file to the disk, so that what was appended survives when the power fails.
   *
   * @throws {WriteError} if it can't be.
   */
  sync(): void {
    const file = this.#file;
    if (file !== undefined) this.#write(() => fsyncSync(file));
  }

  /** Closes the file; a second call does nothing. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Closes the file at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  #continue(file: number): void {
    const text = readFileSync(file, "utf8");
    const { tornLine } = parse(text, this.#path);
    if (tornLine !== undefined) {
      const whole = text.slice(0, text.length - tornLine.length);
      this.#write(() => ftruncateSync(file, Buffer.byteLength(whole)));
    } else if (text !== "" && !text.endsWith("\n")) {
      this.#write(() => appendFileSync(file, "\n"));
    }
  }

  #write<T>(step: () => T): T {
    try {
      return step();
    } catch (cause) {
      throw new WriteError(`Cannot write history ${this.#path}: ${describeCause(cause)}`, { cause });
    }
  }
}

/**
 * Reads a history file: every whole line, and what is left of a torn last one.
 *
 * @throws {CorruptFileError} naming the line, if any but the last is not a JSON object
 */
export async function readHistory(path: string): Promise<History> {
  return parse(await readFile(path, "utf8"), path);
}

/**
 * Leaves only the first records of a history file; the others go whole or not at all.
 *
 * @throws {CorruptFileError} as {@linkcode readHistory}.
 * @throws {WriteError} if it can't be written.
 */
export async function truncateHistory(path: string, count: number): Promise<void> {
  const text = await readFile(path, "utf8");
  const { records } = parse(text, path);
  if (records.length <= count) return;
  await writeFileAtomic(path, text.split("\n").slice(0, count).map((line) => `${line}\n`).join(""));
}

function parse(text: string, path: string): History {
  const lines = text.split("\n");
  const last = lines.pop()!;
  const records = lines.map((line, i) => {
    const record = recordOf(line);
    if (!record) {
      throw new CorruptFileError(`Cannot read history ${path}: line ${i + 1} is not a JSON object`);
    }
    return record;
  });
  // A JSON object that lacks only its line's end is whole: it ends with its own closing brace.
  const unended = recordOf(last);
  if (unended) records.push(unended);
  return { records, tornLine: last === "" || unended ? undefined : last };
}

function recordOf(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError(`Cannot write a history record: ${key} must be finite, got ${value}`);
  }
  return value;
}
