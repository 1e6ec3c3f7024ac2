import type { TextToken } from "../../models/mod.ts";

/** A word of a text, and where it stands in it, in UTF-16 units: `text.slice(start, end)`. */
export interface TextWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A word and the place of its first token in its row; -1 if that was cut off. */
export interface FoundWord extends TextWord {
  readonly firstToken: number;
}

/** As BERT counts it. */
const PUNCTUATION = /^[!-/:-@[-`{-~\p{P}]$/u;
/** Scripts without spaces between words. */
const UNSPACED = new RegExp(
  `^[${
    "Hani Hira Kana Bopo Yiii Thai Laoo Khmr Mymr Tibt Java Bali Sund Lana Tale Talu Tavt Nshu Tang".split(
      " ",
    )
      .map((script) => `\\p{scx=${script}}`).join("")
  }]$`,
  "u",
);
const SPACE = /^\s$/u;

/**
 * The words of a text by its tokens: the tokens of one word of the tokenizer are a word, split before and after punctuation;
 * each token of punctuation, or of a script without spaces between words, is a word. Tokens that overlap, such as the bytes of
 * a character, are one word. Tokens of space alone are none, but such a token is the first of the word that it begins, as in
 * training.
 */
export function findWords(text: string, tokens: readonly TextToken[]): FoundWord[] {
  const words: { start: number; end: number; firstToken: number }[] = [];
  let before: TextToken | undefined;
  let space: TextToken | undefined;
  for (const token of tokens) {
    const { start, end } = trim(text, token);
    if (token.isSpace || start >= end) {
      space = token;
      continue;
    }
    const last = words.at(-1);
    if (last !== undefined && before?.word === token.word && joins(text, last, start)) {
      last.end = Math.max(last.end, end);
    } else {
      const isMarked = space?.word === token.word && !UNSPACED.test(charAt(text, start));
      words.push({ start, end, firstToken: isMarked ? space!.place : token.place });
    }
    before = token;
    space = undefined;
  }
  return words.map((word) => ({ text: text.slice(word.start, word.end), ...word }));
}

/** Whether a token that begins at `start` goes on with a word. */
function joins(text: string, word: { readonly end: number }, start: number): boolean {
  if (start < word.end) return true;
  // Characters that the tokenizer drops, such as joiners, may be between two tokens, but no space.
  if (/\s/.test(text.slice(word.end, start))) return false;
  const neighbours = [charBefore(text, word.end), charAt(text, start)];
  return neighbours.every((char) => !PUNCTUATION.test(char) && !UNSPACED.test(char));
}

function trim(text: string, token: TextToken): { start: number; end: number } {
  let { start, end } = token;
  while (start < end && SPACE.test(text[start]!)) start++;
  while (start < end && SPACE.test(text[end - 1]!)) end--;
  return { start, end };
}

function charAt(text: string, at: number): string {
  return String.fromCodePoint(text.codePointAt(at)!);
}

function charBefore(text: string, at: number): string {
  const isPair = at > 1 && /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 2, at));
  return text.slice(at - (isPair ? 2 : 1), at);
}
