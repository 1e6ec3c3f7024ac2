import { AlignedText } from "./text/aligned_text.ts";
import type { Normalizer } from "./text/normalizer.ts";
import { PieceTrie } from "./model/piece_trie.ts";

/** A token that is looked for in texts before they are cut into words. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether letters must not stand beside it. */
  readonly isWord: boolean;
  /** Whether it takes in the spaces before it. */
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
  /** Whether it is looked for in the normalised text. */
  readonly isNormalized: boolean;
  readonly isSpecial: boolean;
}

/** A part of a text, or an added token in it. */
export interface TextPart {
  readonly text: AlignedText;
  readonly token?: AddedToken;
}

const WHITESPACE = /^\p{White_Space}$/u;
const WORD_CHAR = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;

/** Options of {@linkcode AddedTokenSplitter}. */
export interface AddedTokenSplitterOptions {
  /** Applied to the tokens before they are looked for. */
  readonly normalizer?: Normalizer;
  /** Whether special tokens are text like any other. */
  readonly splitsSpecial: boolean;
}

/** Cuts texts at those of the added tokens that are looked for before (or after) normalisation. */
export class AddedTokenSplitter {
  readonly #tokens: readonly AddedToken[];
  readonly #trie = new PieceTrie();
  /** The characters that tokens begin with, which few texts have. */
  readonly #starts: RegExp;
  readonly #splitsSpecial: boolean;

  constructor(tokens: readonly AddedToken[], { normalizer, splitsSpecial }: AddedTokenSplitterOptions) {
    this.#tokens = tokens;
    this.#splitsSpecial = splitsSpecial;
    const starts = new Set<number>();
    for (const [i, { content }] of tokens.entries()) {
      const text = normalizer?.(AlignedText.from(content)).text ?? content;
      if (text === "") continue;
      this.#trie.add(text, i);
      starts.add(text.codePointAt(0)!);
    }
    const codes = Array.from(starts, (code) => `\\u{${code.toString(16)}}`);
    this.#starts = new RegExp(`[${codes.join("")}]`, "gu");
  }

  /** The parts of a text in order, empty ones left out. */
  split(text: AlignedText): TextPart[] {
    const { chars } = text;
    if (this.#tokens.length === 0) return chars.length === 0 ? [] : [{ text }];
    const parts: TextPart[] = [];
    let done = 0;
    const add = (from: number, to: number, token?: AddedToken) => {
      if (to > from) parts.push({ text: text.slice(from, to), ...(token && { token }) });
      done = to;
    };
    let next = 0;
    for (const { from: at, isMatch } of text.sections(this.#starts)) {
      if (!isMatch || at < next) continue;
      const match = this.#longest(chars, at);
      if (match === undefined) continue;
      const { token } = match;
      let from = at;
      let to = match.to;
      next = to;
      if (this.#splitsSpecial && token.isSpecial) continue;
      if (token.isWord && (isWordChar(chars[from - 1]) || isWordChar(chars[to]))) continue;
      while (token.stripsLeft && from > done && WHITESPACE.test(chars[from - 1]!)) from--;
      while (token.stripsRight && to < chars.length && WHITESPACE.test(chars[to]!)) to++;
      add(done, from);
      add(from, to, token);
    }
    add(done, chars.length);
    return parts;
  }

  /** The longest token that begins at a place. */
  #longest(chars: readonly string[], from: number): { token: AddedToken; to: number } | undefined {
    let found: { token: AddedToken; to: number } | undefined;
    let node: number | undefined = PieceTrie.ROOT;
    for (let to = from; to < chars.length;) {
      node = this.#trie.child(node, chars[to++]!);
      if (node === undefined) break;
      const index = this.#trie.idAt(node);
      if (index !== undefined) found = { token: this.#tokens[index]!, to };
    }
    return found;
  }
}

function isWordChar(char: string | undefined): boolean {
  return char !== undefined && WORD_CHAR.test(char);
}
