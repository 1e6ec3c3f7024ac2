import { createPairCheck } from "./_pair_check.ts";
import { Pipeline, type Token } from "./_pipeline.ts";
import type { TemplateItem } from "./_post_processor.ts";
import { asConfig } from "./read_config.ts";
import { readMaxLength, readPadId, readSide, type Side } from "./checkpoint/settings.ts";
import { setUpTokenizer, type TokenizerSettings } from "./checkpoint/setup.ts";
import { TokenizerError } from "./errors.ts";
import { cutTo, longestFirst, windows } from "./_truncation.ts";
import { checkLength, padBatch } from "./pad_batch.ts";
import type {
  EncodeBatchOptions,
  EncodeOptions,
  EncodePairOptions,
  PairWindow,
  TextTokens,
  TokenBatch,
  Tokenizer,
  TokenSpan,
  WordTokens,
} from "./tokenizer.ts";

/** Options of {@linkcode HfTokenizer}. */
export interface HfTokenizerOptions extends TokenizerSettings {
  /** Whether `file` is a tokenizer.json, or made from a vocab.txt of BERT; true by default. */
  readonly hasFile?: boolean;
  /** Tokens that the model reads at most, if that is fewer than its files say. */
  readonly maxLength?: number;
}

/** The tokens of a text, row by row of equal length. */
export interface TokenSpans {
  readonly inputIds: number[];
  /** Which part of its text a token is in, as the model counts parts. */
  readonly tokenTypeIds: number[];
  /** Where a token stands in the text; undefined for special tokens. */
  readonly spans: (TokenSpan | undefined)[];
}

/** A token in its place among those of one or two texts. */
interface Entry<T> {
  readonly id: number;
  readonly type: number;
  readonly part?: 0 | 1;
  readonly token?: T;
}

/** The tokens of one or two texts, and whether some are missing. */
interface Encoding {
  readonly entries: readonly Entry<Token>[];
  readonly isTruncated: boolean;
}

/**
 * Tokenizer of a Hugging Face checkpoint, by its `tokenizer.json`: WordPiece, byte-pair encoding or Unigram with the
 * model's own normalisation, words and special tokens, and what the files beside it say. Ids and positions are those of
 * the Python libraries `tokenizers` and `transformers`. How many tokens are kept is for the caller to choose; the files
 * say at which end a text is cut. Padding always stands at the end, where it changes no answer, whatever `padding_side`
 * says.
 *
 * @example
 * ```ts no-run
 * const tokenizer = await loadTokenizer(files);
 * tokenizer.encode("A text"); // [101, 1037, 3793, 102] by the vocabulary of BERT, uncased
 * ```
 */
export class HfTokenizer implements Tokenizer {
  readonly padId: number;
  /** Tokens that the model reads at most; Infinity if its files don't say. */
  readonly maxLength: number;
  /** One more than the largest id. */
  readonly vocabularySize: number;
  readonly #pipeline: Pipeline;
  readonly #tellsParts: boolean;
  readonly #truncationSide: Side;
  readonly #paddingSide: Side;
  readonly #checkPair: () => void;

  /**
   * @param file `tokenizer.json`, parsed
   * @throws {TokenizerError} if the file contradicts itself or asks for what isn't supported.
   * @throws {RangeError} if `maxLength` is not a positive integer.
   */
  constructor(file: unknown, { hasFile = true, maxLength, ...options }: HfTokenizerOptions = {}) {
    if (maxLength !== undefined) checkLength("maxLength", maxLength);
    const setup = setUpTokenizer(asConfig(file, "tokenizer.json"), { ...options, hasFile });
    const { special, settings } = setup;
    const pipeline = new Pipeline(setup);
    this.#pipeline = pipeline;
    this.padId = readPadId(setup.file, special, pipeline.ids);
    this.vocabularySize = pipeline.vocabularySize;
    this.maxLength = Math.min(readMaxLength(settings), maxLength ?? Infinity);
    this.#truncationSide = readSide("truncation", setup.file, settings);
    this.#paddingSide = readSide("padding", setup.file, settings);
    this.#tellsParts = setup.tellsParts;
    this.#checkPair = createPairCheck(pipeline.postProcessor.pair, setup);
  }

  /**
   * Tokens of one text, at most `maxLength`, special ones included.
   *
   * @throws {TypeError} if `text` is not a string.
   * @throws {RangeError} if `maxLength` is not a positive integer, or too small for the special tokens.
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encodeText(text, options).entries.map(({ id }) => id);
  }

  /**
   * Like {@linkcode encode}, with the places of tokens in the text.
   *
   * @throws {TypeError} if `text` is not a string.
   * @throws {RangeError} if `maxLength` is not a positive integer, or too small for the special tokens.
   */
  encodeWithSpans(text: string, options: EncodeOptions = {}): TokenSpans {
    const { entries } = this.#encodeText(text, options);
    return {
      ...this.#columns(entries),
      spans: entries.map(({ token }) => token && [token.start, token.end]),
    };
  }

  /**
   * Tokens of one text, at most `maxLength`, special ones included, and where all of its tokens stand in it.
   *
   * @throws {TypeError} if `text` is not a string.
   * @throws {RangeError} if `maxLength` is not a positive integer, or too small for the special tokens.
   */
  encodeText(text: string, { maxLength }: EncodeOptions = {}): TextTokens {
    const { single } = this.#pipeline.postProcessor;
    const tokens = this.#tokenize(text);
    const entries = place(single, [this.#cut(tokens, this.#room(single, maxLength))]);
    const places = new Map(entries.map(({ token }, at) => [token, at]));
    return {
      ...this.#columns(entries),
      tokens: tokens.map((token) => {
        const { start, end, word, isSpace } = token;
        return { start, end, word, isSpace, place: places.get(token) ?? -1 };
      }),
    };
  }

  /**
   * Encodes texts, or pairs of texts, into one padded batch.
   *
   * @throws {TypeError} if a text is not a string.
   * @throws {TokenizerError} if the model doesn't know the types of pairs.
   * @throws {RangeError} if there are not as many `pairs` as texts, `padTo` is shorter than a row, or a length is not
   * a positive integer or too small for the special tokens.
   */
  encodeBatch(texts: readonly string[], { padTo, pairs, ...options }: EncodeBatchOptions = {}): TokenBatch {
    if (pairs !== undefined && pairs.length !== texts.length) {
      throw new RangeError(
        `Cannot tokenize pairs: there must be as many second texts as first ones, got ${pairs.length} and ${texts.length}`,
      );
    }
    const rows = texts.map((text, i) => {
      const { entries, isTruncated } = pairs === undefined
        ? this.#encodeText(text, options)
        : this.#encodePair(text, pairs[i]!, options);
      const { inputIds, tokenTypeIds } = this.#columns(entries);
      return { inputIds, isTruncated, ...(this.#tellsParts && { tokenTypeIds }) };
    });
    return padBatch(rows, { padId: this.padId, ...(padTo !== undefined && { padTo }) });
  }

  /**
   * Encodes words, each as if a space stood before it, so that no token is of two words.
   *
   * @throws {TypeError} if a word is not a string.
   * @throws {RangeError} if `maxLength` is not a positive integer, or too small for the special tokens.
   */
  encodeWords(words: readonly string[], options: EncodeOptions = {}): WordTokens {
    const { single } = this.#pipeline.postProcessor;
    const room = this.#room(single, options.maxLength);
    const tokens: Token[] = [];
    for (const [word, text] of words.entries()) {
      const limit = this.#limit(room) - tokens.length;
      if (limit <= 0) break;
      for (const token of this.#tokenize(text, limit, true)) tokens.push({ ...token, word });
    }
    const entries = place(single, [this.#cut(tokens, room)]);
    return {
      ...this.#columns(entries),
      words: entries.map(({ token }) => token?.word ?? -1),
      isTruncated: tokens.length > room,
    };
  }

  /**
   * Tokens of two texts; a second text that is too long gives several windows, each after the whole first text,
   * as in BERT's question answering (Devlin et al. 2019, arXiv:1810.04805, section 4.2).
   *
   * @throws {TypeError} if a text is not a string.
   * @throws {TokenizerError} if the model is padded on the left, or doesn't know the types of pairs.
   * @throws {RangeError} if the first text leaves no room for the second, or `stride` for progress.
   */
  encodePair(first: string, second: string, { maxLength, stride }: EncodePairOptions): PairWindow[] {
    if (this.#paddingSide === "left") {
      throw new TokenizerError(
        'Cannot tokenize pair: padding_side of tokenizer_config.json is "left", with which transformers\' scripts put ' +
          "the context before the question, which isn't supported",
      );
    }
    const { pair } = this.#pipeline.postProcessor;
    this.#checkPair();
    const question = this.#tokenize(first);
    const context = this.#tokenize(second);
    const room = this.#room(pair, maxLength) - question.length;
    if (room < 1 || !Number.isInteger(stride) || stride < 0 || stride >= room) {
      throw new RangeError(
        `Cannot tokenize pair: maxLength must leave room for more than stride tokens of the second text, ` +
          `got ${maxLength} of which the first text and special tokens take ${
            maxLength - room
          }, and ${stride}`,
      );
    }
    return windows(context.length, { length: room, stride, side: this.#truncationSide }).map(([from, to]) => {
      const entries = place(pair, [question, context.slice(from, to)]);
      const spans = entries.map(({ token, part }): TokenSpan | undefined =>
        part === 1 ? [token!.start, token!.end] : undefined
      );
      return { ...this.#columns(entries), spans };
    });
  }

  #encodeText(text: string, { maxLength }: EncodeOptions): Encoding {
    const { single } = this.#pipeline.postProcessor;
    const room = this.#room(single, maxLength);
    const tokens = this.#tokenize(text, this.#limit(room));
    return { entries: place(single, [this.#cut(tokens, room)]), isTruncated: tokens.length > room };
  }

  #encodePair(first: string, second: string, { maxLength }: EncodeOptions): Encoding {
    const { pair } = this.#pipeline.postProcessor;
    this.#checkPair();
    const parts = [this.#tokenize(first), this.#tokenize(second)] as const;
    const room = this.#room(pair, maxLength);
    const [a, b] = longestFirst(parts[0].length, parts[1].length, room);
    return {
      entries: place(pair, [this.#cut(parts[0], a), this.#cut(parts[1], b)]),
      isTruncated: parts[0].length + parts[1].length > room,
    };
  }

  #tokenize(text: string, limit = Infinity, isWord = false): Token[] {
    if (typeof text !== "string") {
      throw new TypeError(`Cannot tokenize: text must be a string, got ${typeof text}`);
    }
    return this.#pipeline.tokenize(text, { limit, isWord });
  }

  /** How many tokens of a text must be known to cut it: one more than there is room for, unless its end is kept. */
  #limit(room: number): number {
    return this.#truncationSide === "right" ? room + 1 : Infinity;
  }

  #cut<T>(tokens: readonly T[], room: number): readonly T[] {
    return cutTo(tokens, room, this.#truncationSide);
  }

  /** How many tokens may stand beside the special ones of a template. */
  #room(template: readonly TemplateItem[], maxLength?: number): number {
    if (maxLength !== undefined) checkLength("maxLength", maxLength);
    const length = maxLength ?? this.maxLength;
    const taken = template.filter((item) => "id" in item).length;
    if (taken <= length) return length - taken;
    throw new RangeError(
      `Cannot tokenize: maxLength must have room for the special tokens, got ${length} and ${taken}`,
    );
  }

  #columns(entries: readonly Entry<Token>[]): { inputIds: number[]; tokenTypeIds: number[] } {
    return {
      inputIds: entries.map(({ id }) => id),
      tokenTypeIds: entries.map(({ type }) => this.#tellsParts ? type : 0),
    };
  }
}

/** Tokens of the texts, and the special ones around them. */
function place<T extends Token>(
  template: readonly TemplateItem[],
  parts: readonly (readonly T[])[],
): Entry<T>[] {
  return template.flatMap((item): Entry<T>[] => {
    if ("id" in item) return [item];
    const { part, type } = item;
    return parts[part]!.map((token) => ({ id: token.id, type, part, token }));
  });
}
