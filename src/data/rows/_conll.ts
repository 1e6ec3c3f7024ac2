import { CorruptFileError } from "../errors.ts";
import { cut } from "../excerpt.ts";
import type { ReadInto } from "./_read_into.ts";
import { readLines } from "./_read_text.ts";

/**
 * Tagged words as the CoNLL shared tasks had them: a word a line, its tag in the last of the line's columns, which
 * white space parts, and a blank line after each sentence. A row has the columns `tokens` and `tags`; the marks
 * between documents, `-DOCSTART-`, are passed over.
 */
export const readConllInto: ReadInto = async (path, rows, options) => {
  rows.beginFile(path, { unit: "line" });
  let [tokens, tags, first]: [string[], string[], number] = [[], [], 1];
  const finish = () => {
    if (tokens.length > 0) rows.add({ tokens, tags }, first);
    [tokens, tags] = [[], []];
  };
  for await (const { text, line } of readLines(path, options)) {
    const fields = text.trim().split(/\s+/);
    if (fields[0] === "" || fields[0] === "-DOCSTART-") {
      finish();
      continue;
    }
    if (fields.length < 2) {
      throw new CorruptFileError(
        `Cannot read line ${line} of ${path}: expected a word and its tag, got ${cut(text)}`,
      );
    }
    if (tokens.length === 0) first = line;
    tokens.push(fields[0]!);
    tags.push(fields.at(-1)!);
  }
  finish();
};
