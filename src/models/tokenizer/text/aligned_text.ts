import { TokenizerError } from "../errors.ts";

/**
 * A character of a normalised text, and how it came about: 0 takes the place of the next character of the old text,
 * 1 is put in after it, and -n takes its place and swallows the n after it.
 */
export type CharChange = readonly [char: string, change: number];

/** A part of a text by character index: a match of a pattern, or what stands between two. */
export interface Section {
  readonly from: number;
  readonly to: number;
  readonly isMatch: boolean;
}

/** Steps that make a text longer can do so again and again; no text of this length is meant. */
const MAX_CHARS = 1 << 24;

/**
 * A text on its way to tokens, which knows where in the original each of its characters came from. What an inserted
 * character is aligned with follows the Rust library `tokenizers` (`NormalizedString`), so that the positions of
 * tokens are those that Python gives.
 */
export class AlignedText {
  /** Code points; a lone surrogate is U+FFFD, as no UTF-8 text could hold it. */
  readonly chars: readonly string[];
  /** Start of each character's origin, in UTF-16 units of the original. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Where this part of the text begins in the original. */
  readonly origin: number;
  #text: string | undefined;

  constructor(chars: readonly string[], starts: readonly number[], ends: readonly number[], origin: number) {
    this.chars = chars;
    this.starts = starts;
    this.ends = ends;
    this.origin = origin;
  }

  /** A text as it stands. */
  static from(original: string): AlignedText {
    const chars = [...original.toWellFormed()];
    const starts: number[] = [];
    const ends: number[] = [];
    let at = 0;
    for (const char of chars) {
      starts.push(at);
      at += char.length;
      ends.push(at);
    }
    return new AlignedText(chars, starts, ends, 0);
  }

  /** The characters as one string. */
  get text(): string {
    return this.#text ??= this.chars.join("");
  }

  /** A new text from changes; `skipped` characters before the first one are dropped. */
  transform(changes: readonly CharChange[], skipped = 0): AlignedText {
    const starts: number[] = [];
    const ends: number[] = [];
    let next = skipped;
    for (const [, change] of changes) {
      const source = Math.min(change > 0 ? next - 1 : next, this.chars.length - 1);
      starts.push(this.starts[source] ?? this.origin);
      ends.push(this.ends[source] ?? this.origin);
      if (change <= 0) next += 1 - change;
    }
    return new AlignedText(changes.map(([char]) => char), starts, ends, this.origin);
  }

  /**
   * Replaces each character by any number of others, none included, aligned with it.
   *
   * @throws {TokenizerError} if the text becomes too long.
   */
  mapChars(map: (char: string) => string): AlignedText {
    const chars: string[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    for (const [i, old] of this.chars.entries()) {
      for (const char of map(old)) {
        chars.push(char);
        starts.push(this.starts[i]!);
        ends.push(this.ends[i]!);
      }
      checkLength(chars.length);
    }
    return new AlignedText(chars, starts, ends, this.origin);
  }

  /**
   * Replaces the matches of a pattern; what is put in is aligned with the last character taken out.
   *
   * @throws {TokenizerError} if the text becomes too long.
   */
  replace(pattern: RegExp, content: string): AlignedText {
    const chars: string[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    const push = (char: string, source: number) => {
      chars.push(char);
      starts.push(this.starts[source]!);
      ends.push(this.ends[source]!);
    };
    for (const { from, to, isMatch } of this.sections(pattern)) {
      if (isMatch) {
        for (const char of content) push(char, to - 1);
      } else {
        for (let i = from; i < to; i++) push(this.chars[i]!, i);
      }
      checkLength(chars.length);
    }
    return new AlignedText(chars, starts, ends, this.origin);
  }

  /** The text with `prefix` in front, aligned with the first character; an empty text stays empty. */
  prepend(prefix: string): AlignedText {
    if (this.chars.length === 0) return this;
    const added = [...prefix];
    return new AlignedText(
      [...added, ...this.chars],
      [...added.map(() => this.starts[0]!), ...this.starts],
      [...added.map(() => this.ends[0]!), ...this.ends],
      this.origin,
    );
  }

  /** A part of the text, which begins where its first character came from. */
  slice(from: number, to: number): AlignedText {
    const part = this.keep(from, to);
    return new AlignedText(part.chars, part.starts, part.ends, part.starts[0] ?? this.origin);
  }

  /** The text without what is before `from` and after `to`; it still begins where it did. */
  keep(from: number, to: number): AlignedText {
    return new AlignedText(
      this.chars.slice(from, to),
      this.starts.slice(from, to),
      this.ends.slice(from, to),
      this.origin,
    );
  }

  /** Sections by character index that a pattern with the flags `gu` cuts the text into, empty ones left out. */
  sections(pattern: RegExp): Section[] {
    const sections: Section[] = [];
    let unit = 0;
    let index = 0;
    const add = (end: number, isMatch: boolean) => {
      const from = index;
      while (unit < end) unit += this.chars[index++]!.length;
      if (index > from) sections.push({ from, to: index, isMatch });
    };
    for (const match of this.text.matchAll(pattern)) {
      add(match.index, false);
      add(match.index + match[0].length, true);
    }
    add(this.text.length, false);
    return sections;
  }
}

function checkLength(length: number): void {
  if (length > MAX_CHARS) {
    throw new TokenizerError(`Cannot tokenize: a text must not grow beyond ${MAX_CHARS} characters`);
  }
}
