import { AlignedText } from "./_aligned_text.ts";
import type { Normalizer } from "./_normalizer.ts";
import { escapePattern } from "./_pattern.ts";
import { asConfig, asFlag, asId, asList, asText, refuse, show } from "./_read_config.ts";
import type { TokenModel } from "./_token_model.ts";

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
}

/** A part of a text, or an added token in it. */
export interface TextPart {
  readonly text: AlignedText;
  readonly token?: AddedToken;
}

const WHITESPACE = /^\p{White_Space}$/u;
const WORD_CHAR = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;

/**
 * The `added_tokens` of a tokenizer.json. Those that the vocabulary lacks come after it in their order; an id that says
 * otherwise contradicts what the Rust library would give.
 *
 * @throws {TokenizerError} if they aren't tokens, or contradict the vocabulary.
 */
export function readAddedTokens(value: unknown, { ids, size }: TokenModel): AddedToken[] {
  let next = size;
  return asList(value ?? [], "added_tokens").map((entry, i) => {
    const what = `added_tokens[${i}]`;
    const config = asConfig(entry, what);
    const content = asText(config.content, `${what}.content`);
    const id = asId(config.id, `${what}.id`);
    const due = ids.get(content) ?? next;
    if (due !== id) refuse(`${what}.id of ${show(content)} must be ${due} by the vocabulary, got ${id}`);
    next = Math.max(next, id + 1);
    const flag = (name: string, missing: boolean) => asFlag(config[name], `${what}.${name}`, missing);
    return {
      id,
      content,
      isWord: flag("single_word", false),
      stripsLeft: flag("lstrip", false),
      stripsRight: flag("rstrip", false),
      isNormalized: flag("normalized", !flag("special", false)),
    };
  });
}

/** Cuts texts at those of the added tokens that are looked for before (or after) normalisation. */
export class AddedTokenSplitter {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | undefined;

  constructor(tokens: readonly AddedToken[], normalizer?: Normalizer) {
    const spelled = tokens
      .map((token) => [normalizer?.(AlignedText.from(token.content)).text ?? token.content, token] as const)
      .filter(([text]) => text !== "");
    this.#tokens = new Map(spelled);
    // Of several that begin at one place the longest is taken, as it stands first.
    const texts = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    this.#pattern = texts.length === 0 ? undefined : new RegExp(texts.map(escapePattern).join("|"), "gu");
  }

  /** The parts of a text in order, empty ones left out. */
  split(text: AlignedText): TextPart[] {
    if (this.#pattern === undefined) return text.chars.length === 0 ? [] : [{ text }];
    const parts: TextPart[] = [];
    let done = 0;
    const add = (from: number, to: number, token?: AddedToken) => {
      if (to > from) parts.push({ text: text.slice(from, to), ...(token && { token }) });
      done = to;
    };
    for (let { from, to, isMatch } of text.sections(this.#pattern)) {
      if (!isMatch) continue;
      const token = this.#tokens.get(text.chars.slice(from, to).join(""))!;
      if (token.isWord && (isWordChar(text.chars[from - 1]) || isWordChar(text.chars[to]))) continue;
      while (token.stripsLeft && from > done && WHITESPACE.test(text.chars[from - 1]!)) from--;
      while (token.stripsRight && to < text.chars.length && WHITESPACE.test(text.chars[to]!)) to++;
      add(done, from);
      add(from, to, token);
    }
    add(done, text.chars.length);
    return parts;
  }
}

function isWordChar(char: string | undefined): boolean {
  return char !== undefined && WORD_CHAR.test(char);
}
