import { AddedTokenSplitter } from "./added_tokens.ts";
import { AlignedText } from "./text/aligned_text.ts";
import { type Normalizer, readNormalizer } from "./text/normalizer.ts";
import { type PostProcessor, readPostProcessor } from "./_post_processor.ts";
import { type PreTokenizer, type PreTokenizerOptions, readPreTokenizer } from "./text/pre_tokenizer.ts";
import type { TokenModel, WordToken } from "./model/token_model.ts";
import type { TokenizerSetup } from "./checkpoint/setup.ts";

/** A token of a text and where it stands in it, in UTF-16 units. */
export interface Token {
  readonly id: number;
  readonly start: number;
  readonly end: number;
  /** The number of the word that it's from. */
  readonly word: number;
  /** Whether it stands for a space alone. */
  readonly isSpace: boolean;
}

/** Options of {@linkcode Pipeline.tokenize}. */
export interface PipelineOptions extends PreTokenizerOptions {
  /** Tokens wanted at most; more may come. */
  readonly limit: number;
}

/** Words remembered with their tokens, and the length of those that are. */
const MAX_WORDS = 1 << 14;
const MAX_WORD_LENGTH = 40;
/** How byte-level encodings spell a space. */
const SPELLED_SPACE = /^[\u0120\p{White_Space}]$/u;
/** How vocabularies of pieces spell one. */
const PIECE_SPACE = "\u2581";

/** The way from a text to its own tokens: added tokens, normalisation, words, and the model that cuts those. */
export class Pipeline {
  /** Every token's id, added ones included. */
  readonly ids: ReadonlyMap<string, number>;
  /** One more than the largest id. */
  readonly vocabularySize: number;
  readonly postProcessor: PostProcessor;
  readonly #model: TokenModel;
  readonly #rawSplitter: AddedTokenSplitter;
  readonly #splitter: AddedTokenSplitter;
  readonly #normalize: Normalizer;
  readonly #preTokenize: PreTokenizer;
  readonly #words = new Map<string, readonly WordToken[]>();

  /** @throws {TokenizerError} if a step is unknown or its settings don't make sense. */
  constructor({ file, model, added, splitsSpecial }: TokenizerSetup) {
    this.#model = model;
    this.ids = new Map([...this.#model.ids, ...added.map(({ content, id }) => [content, id] as const)]);
    const known = new Set(this.ids.values());
    let largest = 0;
    for (const id of known) largest = Math.max(largest, id);
    this.vocabularySize = largest + 1;
    this.#normalize = readNormalizer(file.normalizer);
    this.#preTokenize = readPreTokenizer(file.pre_tokenizer);
    this.postProcessor = readPostProcessor(file.post_processor, known);
    this.#rawSplitter = new AddedTokenSplitter(added.filter(({ isNormalized }) => !isNormalized), {
      splitsSpecial,
    });
    this.#splitter = new AddedTokenSplitter(added.filter(({ isNormalized }) => isNormalized), {
      normalizer: this.#normalize,
      splitsSpecial,
    });
  }

  /** The tokens of a text, none of them special unless the text spells it. */
  tokenize(original: string, options: PipelineOptions): Token[] {
    const tokens: Token[] = [];
    const count = { words: 0 };
    for (const raw of this.#rawSplitter.split(AlignedText.from(original))) {
      const parts = raw.token ? [raw] : this.#splitter.split(this.#normalize(raw.text));
      for (const { text, token } of parts) {
        if (token) {
          const whole = { id: token.id, from: 0, to: text.chars.length };
          tokens.push(this.#place(whole, text, { index: tokens.length, word: count.words++ }));
        } else this.#addWords(text, options, tokens, count);
        if (tokens.length >= options.limit) return tokens;
      }
    }
    return tokens;
  }

  #addWords(text: AlignedText, options: PipelineOptions, tokens: Token[], count: { words: number }): void {
    for (const word of this.#preTokenize(text, options)) {
      const number = count.words++;
      for (const token of this.#encodeWord(word)) {
        tokens.push(this.#place(token, word, { index: tokens.length, word: number }));
      }
      if (tokens.length >= options.limit) return;
    }
  }

  #encodeWord(word: AlignedText): readonly WordToken[] {
    if (word.chars.length > MAX_WORD_LENGTH) return this.#model.encode(word.chars);
    let tokens = this.#words.get(word.text);
    if (tokens === undefined) {
      tokens = this.#model.encode(word.chars);
      if (this.#words.size >= MAX_WORDS) this.#words.clear();
      this.#words.set(word.text, tokens);
    }
    return tokens;
  }

  /** Where a token of a word stands in the text, without the spaces around it if the model wants that. */
  #place(
    { id, from, to }: WordToken,
    { chars, starts, ends }: AlignedText,
    { index, word }: { readonly index: number; readonly word: number },
  ): Token {
    const { trims, addsSpace } = this.postProcessor;
    let start = starts[from]!;
    let end = ends[to - 1]!;
    if (trims) {
      let first = from;
      while (first < to && SPELLED_SPACE.test(chars[first]!)) first++;
      let last = to;
      while (last > from && SPELLED_SPACE.test(chars[last - 1]!)) last--;
      // A single space at the start of a text may be one that the tokenizer put there.
      if (addsSpace && (index === 0 || start === 0) && first === from + 1) first = from;
      const width = (i: number, j: number) =>
        starts.slice(i, j).reduce((sum, at, k) => sum + ends[i + k]! - at, 0);
      start = Math.min(start + width(from, first), end);
      end = Math.max(end - width(last, to), start);
    }
    let isSpace = true;
    for (let i = from; i < to && isSpace; i++) {
      isSpace = chars[i] === PIECE_SPACE || SPELLED_SPACE.test(chars[i]!);
    }
    return { id, start, end, word, isSpace };
  }
}
