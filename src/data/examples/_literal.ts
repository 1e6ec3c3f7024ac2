import { parseExactJson } from "../rows/json/exact_json.ts";

/** Deepest nesting of lists and dictionaries. */
const MAX_DEPTH = 32;

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07", "\n": "" },
  ...{ "\\": "\\", "'": "'", '"': '"' },
};
const WORDS: Readonly<Record<string, unknown>> = { True: true, False: false, None: null, nan: NaN };

/**
 * The value of a list or dictionary that a table of text holds as JSON, or as Python's `str()` writes it, also with the arrays
 * of NumPy that pandas and `datasets` put into CSV files: `{'text': array(['a'], dtype=object)}`.
 *
 * @throws {SyntaxError} if it is neither.
 */
export function parseLiteral(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new PythonReader(text).read();
  }
}

/** Whether a text looks like a list or dictionary. */
export function isLiteral(text: string): boolean {
  return /^\s*(\[[^]*\]|\{[^]*\})\s*$/.test(text);
}

class PythonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#wrong();
    return value;
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw this.#wrong();
    this.#skipSpace();
    const letter = this.#text[this.#at];
    if (letter === "[") return this.#items("]", () => this.#value(depth + 1));
    if (letter === "(") return this.#items(")", () => this.#value(depth + 1));
    if (letter === "{") return Object.fromEntries(this.#items("}", () => this.#entry(depth + 1)));
    if (letter === "'" || letter === '"') return this.#string(letter);
    if (this.#match(/(np\.)?array\(/y) !== undefined) return this.#array(depth + 1);
    if (this.#match(/np\.\w+\(/y) !== undefined) return this.#scalar(depth + 1);
    const word = this.#match(/[A-Za-z]+/y);
    if (word !== undefined && Object.hasOwn(WORDS, word)) return WORDS[word];
    const number = word === undefined ? this.#match(/[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/yi) : undefined;
    if (number === undefined) throw this.#wrong();
    const value = Number(number);
    return /^[+-]?\d+$/.test(number) && !Number.isSafeInteger(value) ? BigInt(number) : value;
  }

  /** What stands between brackets, with commas between them. */
  #items<T>(end: string, item: () => T): T[] {
    this.#at++;
    const items: T[] = [];
    for (;;) {
      if (this.#take(end)) return items;
      if (items.length > 0 && !this.#take(",")) throw this.#wrong();
      if (items.length > 0 && this.#take(end)) return items;
      items.push(item());
    }
  }

  #entry(depth: number): [string, unknown] {
    const key = this.#value(depth);
    if (typeof key !== "string" || !this.#take(":")) throw this.#wrong();
    return [key, this.#value(depth)];
  }

  /** What follows `array(`: a list, and perhaps its type. */
  #array(depth: number): unknown {
    const value = this.#value(depth);
    if (this.#take(",") && this.#match(/\s*dtype=('[^']*'|\w+)/y) === undefined) throw this.#wrong();
    if (!Array.isArray(value) || !this.#take(")")) throw this.#wrong();
    return value;
  }

  /** What follows `np.int64(` and its like. */
  #scalar(depth: number): unknown {
    const value = this.#value(depth);
    if (!this.#take(")")) throw this.#wrong();
    return value;
  }

  #string(quote: string): string {
    let text = "";
    for (this.#at++;; this.#at++) {
      const letter = this.#text[this.#at];
      if (letter === undefined) throw this.#wrong();
      if (letter === quote) break;
      text += letter === "\\" ? this.#escape() : letter;
    }
    this.#at++;
    return text;
  }

  /** What an escape stands for; its last letter is the one at hand afterwards. */
  #escape(): string {
    const code = this.#match(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8})/y);
    if (code !== undefined) {
      this.#at--;
      const point = Number.parseInt(code.slice(2), 16);
      if (point > 0x10ffff) throw this.#wrong();
      return String.fromCodePoint(point);
    }
    const letter = this.#text[++this.#at] ?? "";
    if (!Object.hasOwn(ESCAPES, letter)) throw this.#wrong();
    return ESCAPES[letter]!;
  }

  #take(letter: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    this.#match(/\s+/y);
  }

  /** Takes what a sticky pattern matches here. */
  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #wrong(): SyntaxError {
    return new SyntaxError(`not a list or dictionary at character ${this.#at}`);
  }
}
