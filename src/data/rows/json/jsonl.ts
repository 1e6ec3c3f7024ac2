import { CorruptFileError } from "../../errors.ts";
import { cut } from "../../text/excerpt.ts";
import type { ReadInto } from "../read_into.ts";
import { isObject } from "./is_object.ts";
import { parseJsonAt } from "./_parse_json.ts";
import { readLines } from "../text/read_text.ts";

/** One JSON object a line; blank lines are skipped. */
export const readJsonlInto: ReadInto = async (path, rows, options) => {
  rows.beginFile(path, { unit: "line" });
  let isFirst = true;
  for await (const { text, line } of readLines(path, options)) {
    if (text.trim() === "") continue;
    // A whole document of JSON begins so, or an object over several lines.
    const advice = isFirst && /^\s*[[{]\s*$|^\s*\[/.test(text)
      ? '; if the file is JSON, set format to "json"'
      : "";
    const row = parseJsonAt(text, { path, line, otherwise: () => `not JSON, got ${cut(text)}${advice}` });
    if (!isObject(row)) {
      throw new CorruptFileError(
        `Cannot read line ${line} of ${path}: expected an object, got ${cut(text)}${advice}`,
      );
    }
    rows.add(row, line);
    isFirst = false;
  }
};
