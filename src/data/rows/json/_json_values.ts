import { endOfString } from "./exact_json.ts";

/** A value of JSON in a text, and where it stands. */
export interface JsonSlice {
  readonly text: string;
  /** The line that it begins in, from 1. */
  readonly line: number;
}

/**
 * The objects of a text that follow each other with nothing but space between them, such as JSON lines; what comes after the last
 * is a slice as well. A text that begins with something else, or is one object alone, is one slice.
 */
export function* jsonSlices(text: string): Generator<JsonSlice> {
  let line = 1;
  for (let start = 0, counted = 0;;) {
    while (start < text.length && isSpace(text.charCodeAt(start))) start++;
    if (start === text.length) return;
    for (let at = text.indexOf("\n", counted); at >= 0 && at < start; at = text.indexOf("\n", at + 1)) line++;
    counted = start;
    const end = text[start] === "{" ? endOfObject(text, start) : text.length;
    yield { text: text.slice(start, end), line };
    start = end;
  }
}

/** Blanks, tabs, ends of lines, and byte order marks, which are left where files were joined. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09 || code === 0xfeff;
}

/** Where what follows an object begins; the end of the text if the object doesn't end. */
function endOfObject(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    const letter = text[i];
    if (letter === "{") depth++;
    else if (letter === "}") {
      if (--depth === 0) return i + 1;
    } else if (letter === '"') i = endOfString(text, i) - 1;
  }
  return text.length;
}
