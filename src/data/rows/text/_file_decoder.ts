import { encodingOf } from "./encoding.ts";
import { CorruptFileError } from "../../errors.ts";

/** Byte order marks, and the encoding that each means. */
const MARKS: readonly (readonly [encoding: string, bytes: readonly number[]])[] = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

/** The first bytes of files that aren't text, and advice for each. */
const OTHERS: readonly (readonly [advice: string, bytes: readonly number[]])[] = [
  ["it is compressed by gzip; unpack it", [0x1f, 0x8b]],
  ["it is compressed by zstd; unpack it", [0x28, 0xb5, 0x2f, 0xfd]],
  ["it is a ZIP archive or an Excel workbook; unpack it, or save it as CSV", [0x50, 0x4b, 0x03, 0x04]],
  ["it is an old Excel workbook; save it as CSV", [0xd0, 0xcf, 0x11, 0xe0]],
  ["it is a Parquet file", [0x50, 0x41, 0x52, 0x31]],
  [
    "it is a pointer of Git LFS; run git lfs pull in its folder",
    [..."version https://git-lfs"].map((letter) => letter.charCodeAt(0)),
  ],
];

/** Decodes a file piece by piece, and names line and byte where it can't. */
export class FileDecoder {
  readonly #path: string;
  readonly #stated: string | undefined;
  #decoder: TextDecoder | undefined;
  #previous: Uint8Array = new Uint8Array();
  /** Bytes before the current piece, and ends of lines in their text. */
  #bytes = 0;
  #ends = { feeds: 0, returns: 0 };

  /** @param encoding UTF-8 by default; a byte order mark overrides it. */
  constructor(path: string, encoding?: string) {
    this.#path = path;
    this.#stated = encoding === undefined ? undefined : encodingOf(encoding);
  }

  /**
   * The text of the next piece; without one, of the remaining bytes.
   *
   * @throws {CorruptFileError} naming line and byte.
   */
  decode(chunk?: Uint8Array): string {
    if (chunk?.length === 0) return "";
    this.#decoder ??= new TextDecoder(this.#encodingOf(chunk ?? this.#previous), { fatal: true });
    try {
      const text = this.#decoder.decode(chunk, { stream: chunk !== undefined });
      addEnds(this.#ends, text);
      this.#bytes += chunk?.length ?? 0;
      this.#previous = chunk ?? this.#previous;
      return text;
    } catch (cause) {
      throw this.#failure(chunk ?? new Uint8Array(), cause);
    }
  }

  #encodingOf(start: Uint8Array): string {
    const begins = ([, bytes]: readonly [string, readonly number[]]) =>
      bytes.every((byte, i) => start[i] === byte);
    const other = OTHERS.find(begins);
    if (other !== undefined) throw new CorruptFileError(`Cannot read ${this.#path} as text: ${other[0]}`);
    const marked = MARKS.find(begins);
    if (marked !== undefined) return marked[0];
    if (this.#stated !== undefined) return this.#stated;
    const [first, second, third, fourth] = start;
    const isLittle = first !== 0 && second === 0 && third !== 0 && (fourth ?? 0) === 0;
    const isBig = first === 0 && second !== 0 && (third ?? 0) === 0 && fourth !== 0;
    if (second !== undefined && (isLittle || isBig)) {
      throw new CorruptFileError(
        `Cannot read ${this.#path}: it looks like UTF-16 without a byte order mark; set encoding to ` +
          `"utf-16${isLittle ? "le" : "be"}", or save it as UTF-8`,
      );
    }
    return "utf-8";
  }

  /** Decodes the failing bytes again, one by one, from a place where a character begins. */
  #failure(chunk: Uint8Array, cause: unknown): CorruptFileError {
    const { encoding } = this.#decoder!;
    const before = this.#previous;
    const bytes = Uint8Array.from([...before, ...chunk]);
    const ends = { ...this.#ends };
    let start = encoding.startsWith("utf-16") ? 0 : before.lastIndexOf(0x0a) + 1;
    // A piece other than the first may begin inside of a character.
    const isFirst = this.#bytes === before.length;
    while (encoding === "utf-8" && !isFirst && start < 3 && (bytes[start]! & 0xc0) === 0x80) start++;
    const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
    try {
      for (let i = start; i <= bytes.length; i++) {
        const last = i === bytes.length;
        const text = last ? decoder.decode() : decoder.decode(bytes.subarray(i, i + 1), { stream: true });
        if (text !== "") start = i + 1;
        if (i >= before.length) addEnds(ends, text);
      }
    } catch {
      // The character that begins at `start` is the one.
    }
    const line = 1 + (ends.feeds || ends.returns);
    const byte = bytes[start]!.toString(16).padStart(2, "0");
    const advice = encoding === "utf-8"
      ? 'set encoding to that of the file, such as "windows-1252" (Excel in Western Europe), or save it as UTF-8'
      : "set encoding to that of the file";
    return new CorruptFileError(
      `Cannot read line ${line} of ${this.#path}: 0x${byte} at byte offset ${
        this.#bytes - before.length + start
      } isn't ${encoding.toUpperCase()}; ${advice}`,
      { cause },
    );
  }
}

function addEnds(ends: { feeds: number; returns: number }, text: string): void {
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) ends.feeds++;
  for (let at = text.indexOf("\r"); at >= 0; at = text.indexOf("\r", at + 1)) ends.returns++;
}
