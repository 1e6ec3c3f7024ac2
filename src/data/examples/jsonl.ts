import { readExamples } from "./read_examples.ts";
import { readRows } from "../rows/read_rows.ts";
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
 * Reads a JSONL file, one JSON object a line; blank lines and a byte order mark are skipped.
 *
 * @throws {CorruptFileError} naming the line that is not an object.
 */
export async function readJsonl(path: string): Promise<Readonly<Record<string, unknown>>[]> {
  return [...(await readRows(path, { format: "jsonl" })).rows];
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
  return await readExamples(path, "sequence-classification", { format: "jsonl", columns: options });
}

/** One JSON value a line, each ended by a newline. */
export function toJsonl(rows: Iterable<object>): string {
  let text = "";
  for (const row of rows) text += `${JSON.stringify(row)}\n`;
  return text;
}
