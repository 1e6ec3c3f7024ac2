import { readFile } from "node:fs/promises";
import { CorruptFileError } from "./errors.ts";
import type { TextExample } from "./text_example.ts";

/** Which columns of a JSONL file make an example. */
export interface ReadTextExamplesOptions {
  /** Default `"text"`. */
  textColumn?: string;
  /** Default `"label"`. */
  labelColumn?: string;
  /** Column of the natural key; none by default. */
  keyColumn?: string;
}

/**
 * Reads a JSONL file, one JSON object a line; blank lines and a byte order mark are passed over.
 *
 * @throws {CorruptFileError} naming the line that is not an object.
 */
export async function readJsonl(path: string): Promise<Record<string, unknown>[]> {
  return [...rowsOf(path, await readFile(path, "utf8"))].map(({ row }) => row);
}

/**
 * Reads labelled texts from a JSONL file. Labels and keys may be text, numbers or truth values and become text.
 *
 * @throws {CorruptFileError} naming the line and column that cannot be read, or if there are no examples.
 *
 * @example
 * ```ts no-run
 * const examples = await readTextExamples("train.jsonl", { labelColumn: "intent" });
 * ```
 */
export async function readTextExamples(
  path: string,
  options: ReadTextExamplesOptions = {},
): Promise<TextExample[]> {
  const { textColumn = "text", labelColumn = "label", keyColumn } = options;
  const examples: TextExample[] = [];
  for (const { row, line } of rowsOf(path, await readFile(path, "utf8"))) {
    const text = row[textColumn];
    if (typeof text !== "string") throw badColumn(path, line, textColumn, "text", text);
    const example: TextExample = { text, label: nameOf(path, line, labelColumn, row[labelColumn]) };
    if (keyColumn !== undefined) example.key = nameOf(path, line, keyColumn, row[keyColumn]);
    examples.push(example);
  }
  if (examples.length === 0) throw new CorruptFileError(`Cannot read examples: ${path} holds none`);
  return examples;
}

/** One JSON value a line, each ended by a newline. */
export function toJsonl(rows: Iterable<object>): string {
  let text = "";
  for (const row of rows) text += `${JSON.stringify(row)}\n`;
  return text;
}

function* rowsOf(path: string, content: string): Generator<{ row: Record<string, unknown>; line: number }> {
  for (const [index, source] of content.replace(/^\ufeff/, "").split("\n").entries()) {
    if (source.trim() === "") continue;
    const line = index + 1;
    let row: unknown;
    try {
      row = JSON.parse(source);
    } catch (cause) {
      throw new CorruptFileError(`Cannot read line ${line} of ${path}: not JSON, got ${excerpt(source)}`, {
        cause,
      });
    }
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw new CorruptFileError(
        `Cannot read line ${line} of ${path}: expected an object, got ${excerpt(source)}`,
      );
    }
    yield { row: row as Record<string, unknown>, line };
  }
}

function nameOf(path: string, line: number, column: string, value: unknown): string {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  throw badColumn(path, line, column, "text or a number", value);
}

function badColumn(
  path: string,
  line: number,
  column: string,
  expected: string,
  value: unknown,
): CorruptFileError {
  const got = value === undefined ? "nothing" : excerpt(JSON.stringify(value));
  return new CorruptFileError(
    `Cannot read line ${line} of ${path}: column ${column} must be ${expected}, got ${got}`,
  );
}

function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
