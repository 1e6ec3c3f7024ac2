const [QUOTE, BACKSLASH, MINUS, ZERO, NINE] = [0x22, 0x5c, 0x2d, 0x30, 0x39];

/** Most digits of an integer, as in Python; longer ones overflow, as they do in `JSON.parse`. */
const MAX_DIGITS = 4300;

/**
 * The value of JSON text, as `JSON.parse` gives it, but with integers as bigint where a number can't hold them exactly, such
 * as 64-bit ids. Of an object's equal keys the last one counts, as in Python.
 *
 * @throws {SyntaxError} if it isn't JSON.
 *
 * @example
 * ```ts
 * parseExactJson('{"id": 9007199254740993, "n": 3}'); // { id: 9007199254740993n, n: 3 }
 * ```
 */
export function parseExactJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  // No text of a file can contain this.
  const mark = `${crypto.getRandomValues(new Uint32Array(4)).join("-")}:`;
  const quoted = quoteLongIntegers(text, mark);
  if (quoted === undefined) return JSON.parse(text);
  let value: unknown;
  try {
    value = JSON.parse(quoted);
  } catch {
    // Throws too, with a position in the text itself.
    return JSON.parse(text);
  }
  return withBigints(value, mark);
}

/**
 * The first `NaN` or `Infinity` in a text, which Python's `json` writes although JSON has no such numbers; undefined if there is
 * none.
 *
 * @example
 * ```ts
 * findOddNumber('{"NaN": NaN}'); // { word: "NaN", index: 8 }
 * ```
 */
export function findOddNumber(text: string): { readonly word: string; readonly index: number } | undefined {
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === '"') i = endOfString(text, i) - 1;
    else if (letter === "N" || letter === "I") {
      const word = ["NaN", "Infinity"].find((each) => text.startsWith(each, i));
      if (word !== undefined) return { word, index: i };
    }
  }
  return undefined;
}

/** The text with each integer that is too long in quotation marks, after a mark; undefined if there is none. */
function quoteLongIntegers(text: string, mark: string): string | undefined {
  const parts: string[] = [];
  let copied = 0;
  for (let i = 0; i < text.length;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i);
    } else if (code === MINUS || code >= ZERO && code <= NINE) {
      const start = i++;
      while (i < text.length && isOfNumber(text.charCodeAt(i))) i++;
      const number = i - start < 16 || i - start > MAX_DIGITS ? "" : text.slice(start, i);
      if (/^-?[1-9]\d+$/.test(number) && !Number.isSafeInteger(Number(number))) {
        parts.push(text.slice(copied, start), `"${mark}${number}"`);
        copied = i;
      }
    } else i++;
  }
  return parts.length === 0 ? undefined : [...parts, text.slice(copied)].join("");
}

/** Digits, signs, `.`, `e` and `E`. */
function isOfNumber(code: number): boolean {
  return code >= ZERO && code <= NINE || code === MINUS || code === 0x2b || code === 0x2e || code === 0x65 ||
    code === 0x45;
}

/** The index just after a string of JSON; the end of the text if the string doesn't end. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}

/** Puts bigints in the places of marked texts. */
function withBigints(root: unknown, mark: string): unknown {
  const holder = { root };
  const rest: Record<string, unknown>[] = [holder];
  for (let inner = rest.pop(); inner !== undefined; inner = rest.pop()) {
    for (const [key, value] of Object.entries(inner)) {
      if (typeof value === "object" && value !== null) rest.push(value as Record<string, unknown>);
      else if (typeof value === "string" && value.startsWith(mark)) {
        inner[key] = BigInt(value.slice(mark.length));
      }
    }
  }
  return holder.root;
}
