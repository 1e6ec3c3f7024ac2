import { CorruptFileError } from "../../errors.ts";
import { findOddNumber, parseExactJson } from "./exact_json.ts";

/** Options of {@linkcode parseJsonAt}. */
export interface ParseJsonOptions {
  readonly path: string;
  /** Number of the text's first line. */
  readonly line: number;
  /** What is wrong with text that isn't JSON. */
  readonly otherwise: () => string;
}

/**
 * The value of a file's JSON text.
 *
 * @throws {CorruptFileError} naming the line.
 */
export function parseJsonAt(text: string, { path, line, otherwise }: ParseJsonOptions): unknown {
  try {
    return parseExactJson(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    const odd = findOddNumber(text);
    const index = odd?.index ?? findError(text);
    const lines = text.slice(0, index).split("\n").length - 1;
    const place = index !== undefined || lines === 0 ? `line ${line + lines} of ${path}` : path;
    const what = odd === undefined
      ? otherwise()
      : `${odd.word} isn't a JSON number, though Python writes it; write null where a value is missing`;
    throw new CorruptFileError(`Cannot read ${place}: ${what}`, { cause });
  }
}

/** Longest text in which an error is located: that parses it about 24 times. */
const MAX_LENGTH = 16 << 20;

/** Where text stops being JSON; V8 doesn't say so in every error. */
function findError(text: string): number | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  let [good, bad] = [0, text.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (canGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

/** Whether a text can be the beginning of JSON. */
function canGoOn(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    return /end of JSON|Unterminated/.test(message) ||
      Number(/position (\d+)/.exec(message)?.[1]) >= text.length;
  }
}
