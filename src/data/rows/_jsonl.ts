import { CorruptFileError } from "../errors.ts";
import { cut } from "../excerpt.ts";
import type { ReadInto } from "./_read_into.ts";
import { readLines } from "./_read_text.ts";
import type { Row } from "./row_set.ts";

/** One JSON object a line; blank lines are passed over. */
export const readJsonlInto: ReadInto = async (path, rows, options) => {
  rows.beginFile(path, { unit: "line" });
  for await (const { text, line } of readLines(path, options)) {
    if (text.trim() === "") continue;
    rows.add(parseRow(text, `line ${line} of ${path}`), line);
  }
};

function parseRow(text: string, place: string): Row {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (cause) {
    throw new CorruptFileError(`Cannot read ${place}: not JSON, got ${cut(text)}`, { cause });
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) {
    throw new CorruptFileError(`Cannot read ${place}: expected an object, got ${cut(text)}`);
  }
  return row as Row;
}
