/** A padded batch of texts on the host, row-major `[batchSize, length]`. */
export interface TokenBatch {
  /** Token ids; the tokenizer's `padId` where padded. */
  readonly inputIds: Uint32Array;
  /** Which part of its text a token is in, for tokenizers that distinguish parts; 0 where padded. */
  readonly tokenTypeIds?: Uint32Array;
  /** 1 for a token, 0 for padding. */
  readonly attentionMask: Float32Array;
  readonly batchSize: number;
  readonly length: number;
  /** Rows that had more tokens than `maxLength`, so that some are missing; 0 if left out. */
  readonly numTruncated?: number;
}

/** Options of {@linkcode Tokenizer.encode} and {@linkcode Tokenizer.encodeWords}. */
export interface EncodeOptions {
  /** Tokens kept at most, special ones included; by default what the model reads. */
  readonly maxLength?: number;
}

/** Options of {@linkcode Tokenizer.encodeBatch}. */
export interface EncodeBatchOptions extends EncodeOptions {
  /** Length of every row; by default that of the longest one, at least 1. */
  readonly padTo?: number;
  /** The second part of each text, for tasks on pairs of texts; what is too long is cut from the longer part. */
  readonly pairs?: readonly string[];
}

/** Options of {@linkcode Tokenizer.encodePair}. */
export interface EncodePairOptions {
  /** Tokens of a window at most, both texts and special tokens included. */
  readonly maxLength: number;
  /** Tokens of the second text that a window shares with the one before it. */
  readonly stride: number;
}

/** The tokens of a text given word by word, row by row of equal length. */
export interface WordTokens {
  readonly inputIds: number[];
  /** Which part of its text a token is in, as the model counts parts. */
  readonly tokenTypeIds: number[];
  /** The index of the word a token is from, -1 for special tokens. */
  readonly words: number[];
  /** Whether there were more tokens than `maxLength`, so that some are missing. */
  readonly isTruncated: boolean;
}

/** Where a token stands in its text: `text.slice(start, end)`, in UTF-16 units. */
export type TokenSpan = readonly [start: number, end: number];

/** A token of a text. */
export interface TextToken {
  /** Where it stands in the text, in UTF-16 units: `text.slice(start, end)`. */
  readonly start: number;
  readonly end: number;
  /** The number of the word that it is from, as the tokenizer cuts texts into words. */
  readonly word: number;
  /** Whether it stands for a space alone, as the mark before a word does in some vocabularies. */
  readonly isSpace: boolean;
  /** Its place in the row; -1 if it was cut off. */
  readonly place: number;
}

/** The tokens of a text, and where each stands in it. */
export interface TextTokens {
  readonly inputIds: number[];
  /** Which part of its text a token is in, as the model counts parts. */
  readonly tokenTypeIds: number[];
  /** The tokens of the text in order, including those that were cut off, but no special ones. */
  readonly tokens: TextToken[];
}

/** A pair of texts of which the second is seen through a window. */
export interface PairWindow {
  readonly inputIds: number[];
  /** Which text a token is in, as the model counts them (some models count only one). */
  readonly tokenTypeIds: number[];
  /** Where a token of the second text stands in it; undefined for special tokens and the first text. */
  readonly spans: (TokenSpan | undefined)[];
}

/** Turns texts into ids. */
export interface Tokenizer {
  /** The id that padding has. */
  readonly padId: number;
  /** Most tokens that the model reads, by the tokenizer's files (`model_max_length`); Infinity if they don't say. */
  readonly maxLength: number;
  /** Tokens of one text, at most `maxLength`. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Tokens of several texts, or pairs of texts, padded to one length. */
  encodeBatch(texts: readonly string[], options?: EncodeBatchOptions): TokenBatch;
  /** Tokens of a text, at most `maxLength`, with their places in it. */
  encodeText(text: string, options?: EncodeOptions): TextTokens;
  /** Tokens of a text whose words are known, at most `maxLength`; a token at the end that marks it is kept. */
  encodeWords(words: readonly string[], options?: EncodeOptions): WordTokens;
  /**
   * Tokens of two texts; a second text that is too long gives several windows, each after the whole first text,
   * as in BERT's question answering (Devlin et al. 2019, arXiv:1810.04805, section 4.2).
   *
   * @throws {RangeError} if the first text leaves no room for the second, or `stride` for progress.
   */
  encodePair(first: string, second: string, options: EncodePairOptions): PairWindow[];
}
