import { CorruptFileError } from "../../data/errors.ts";
import { checkLength, padBatch } from "../tokenizer/pad_batch.ts";
import type {
  EncodeBatchOptions,
  EncodeOptions,
  PairWindow,
  TextTokens,
  TokenBatch,
  Tokenizer,
  WordTokens,
} from "../tokenizer/tokenizer.ts";

/** The first ids of the vocabulary (unknown, sentence marks, spares) are never matched in a text. */
const RESERVED_IDS = 6;
const UNKNOWN_ID = 0;
const SEPARATOR = "\u2581";
const SEPARATOR_CODE = 0x2581;

/** The encoder reads no more tokens than this. */
const MAX_TOKENS = 128;
const WORD = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu;

interface TrieNode {
  children: Map<number, TrieNode>;
  /** Id of the piece that ends here, or -1. */
  id: number;
}

/**
 * Unigram tokenizer of Universal Sentence Encoder lite: NFKC, spaces as U+2581 with one put in front, then the
 * likeliest split into pieces (Viterbi; Kudo 2018, arXiv:1804.10959, section 3.2). Runs of unknown characters
 * become one id 0. There is no start or end token, and an empty text has no tokens.
 *
 * Ids equal those of the model's own package, and so do its habits: an unknown character costs nothing, a piece
 * without a score counts 0, and a best score of exactly 0 is taken as not yet set.
 *
 * @example
 * ```ts
 * const reserved = ["?", "<s>", "</s>", "-", "-", "-"].map((piece) => [piece, 0] as const);
 * const tokenizer = new UseLiteTokenizer([...reserved, ["▁", -2], ["a", -1], ["▁a", -1]]);
 * tokenizer.encode("a a"); // [8, 8]
 * ```
 */
export class UseLiteTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly padId = UNKNOWN_ID;
  readonly maxLength = MAX_TOKENS;
  readonly #root: TrieNode = { children: new Map(), id: -1 };
  readonly #scores: Float64Array;
  /** Code points of each piece. */
  readonly #lengths: Int32Array;
  #hasInnerSeparator = false;

  /**
   * @param vocabulary `[piece, score]` by id; a score is a log-probability, or null for none.
   * @throws {TypeError} on an entry that is not such a pair.
   */
  constructor(vocabulary: readonly (readonly [piece: string, score: number | null])[]) {
    this.vocabularySize = vocabulary.length;
    this.#scores = new Float64Array(vocabulary.length);
    this.#lengths = new Int32Array(vocabulary.length).fill(1);
    for (const [id, entry] of vocabulary.entries()) {
      if (!isEntry(entry)) {
        throw new TypeError(
          `Cannot read vocabulary: entry ${id} must be [piece, score], got ${JSON.stringify(entry)}`,
        );
      }
      if (id >= RESERVED_IDS) this.#insert(entry[0], entry[1] ?? 0, id);
    }
  }

  /**
   * Reads `vocab.json`: an array of `[piece, score]`.
   *
   * @throws {CorruptFileError} if the text is not such a file.
   */
  static fromJson(json: string | Uint8Array): UseLiteTokenizer {
    const text = typeof json === "string" ? json : new TextDecoder().decode(json);
    let vocabulary: unknown;
    try {
      vocabulary = JSON.parse(text);
    } catch (cause) {
      throw new CorruptFileError("Cannot read vocabulary: not JSON", { cause });
    }
    if (!Array.isArray(vocabulary) || vocabulary.length <= RESERVED_IDS || !vocabulary.every(isEntry)) {
      throw new CorruptFileError(
        `Cannot read vocabulary: expected more than ${RESERVED_IDS} pairs [piece, score]`,
      );
    }
    return new UseLiteTokenizer(vocabulary);
  }

  /**
   * Token ids of a text, in time linear in its length.
   *
   * @throws {TypeError} if `text` is not a string.
   * @throws {RangeError} if `maxLength` is not a positive integer.
   */
  encode(text: string, { maxLength = MAX_TOKENS }: EncodeOptions = {}): number[] {
    if (typeof text !== "string") {
      throw new TypeError(`Cannot tokenize: text must be a string, got ${typeof text}`);
    }
    checkLength("maxLength", maxLength);
    const symbols = toSymbols(text);
    const best = new Float64Array(symbols.length + 1);
    const lastId = new Int32Array(symbols.length + 1);
    const lengths = this.#lengths;

    function relax(end: number, score: number, id: number): void {
      if (best[end] !== 0 && score < best[end]!) return;
      best[end] = score;
      lastId[end] = id;
    }

    function trace(end: number): number[] {
      const ids: number[] = [];
      for (let position = end; position > 0;) {
        const id = lastId[position]!;
        if (id !== UNKNOWN_ID || ids.at(-1) !== UNKNOWN_ID) ids.push(id);
        position -= lengths[id]!;
      }
      return ids.reverse();
    }

    let nextCheck = maxLength;
    for (let start = 0; start < symbols.length; start++) {
      // Separators only ever begin a piece, so no later text changes the split before one: once enough tokens
      // stand there the rest need not be read. Doubling the distance keeps the checks linear in total.
      if (start >= nextCheck && symbols[start] === SEPARATOR_CODE && !this.#hasInnerSeparator) {
        const ids = trace(start);
        if (ids.length >= maxLength) return ids.slice(0, maxLength);
        nextCheck = 2 * start;
      }
      let matched = false;
      let node: TrieNode | undefined = this.#root;
      for (let end = start; end < symbols.length; end++) {
        node = node.children.get(symbols[end]!);
        if (!node) break;
        if (node.id < 0) continue;
        matched = true;
        relax(end + 1, best[start]! + this.#scores[node.id]!, node.id);
      }
      if (!matched) relax(start + 1, best[start]!, UNKNOWN_ID);
    }
    return trace(symbols.length).slice(0, maxLength);
  }

  /**
   * Encodes texts into one padded batch.
   *
   * @throws {RangeError} if `padTo` is shorter than a row, or a length is not a positive integer.
   * @throws {TypeError} on pairs of texts.
   */
  encodeBatch(
    texts: readonly string[],
    { maxLength = MAX_TOKENS, padTo, pairs }: EncodeBatchOptions = {},
  ): TokenBatch {
    if (pairs !== undefined) return refusePairs();
    const rows = texts.map((text) => {
      const inputIds = this.encode(text, { maxLength: maxLength + 1 });
      return { inputIds: inputIds.slice(0, maxLength), isTruncated: inputIds.length > maxLength };
    });
    return padBatch(rows, { padId: this.padId, ...(padTo !== undefined && { padTo }) });
  }

  /**
   * Tokens of a text whose words are runs of letters and digits, or single signs, each encoded as if it stood alone; a token
   * stands where its word does.
   *
   * @throws {RangeError} if `maxLength` is not a positive integer.
   */
  encodeText(text: string, { maxLength = MAX_TOKENS }: EncodeOptions = {}): TextTokens {
    checkLength("maxLength", maxLength);
    const words = [...text.matchAll(WORD)];
    const all = this.encodeWords(words.map(([word]) => word), { maxLength: Number.MAX_SAFE_INTEGER - 1 });
    const inputIds = all.inputIds.slice(0, maxLength);
    return {
      inputIds,
      tokenTypeIds: inputIds.map(() => 0),
      tokens: all.words.map((word, place) => ({
        start: words[word]!.index,
        end: words[word]!.index + words[word]![0].length,
        word,
        isSpace: false,
        place: place < maxLength ? place : -1,
      })),
    };
  }

  /**
   * Encodes words, each as if it stood alone in a text, so that no token is of two words.
   *
   * @throws {RangeError} if `maxLength` is not a positive integer.
   */
  encodeWords(words: readonly string[], { maxLength = MAX_TOKENS }: EncodeOptions = {}): WordTokens {
    checkLength("maxLength", maxLength);
    const inputIds: number[] = [];
    const owners: number[] = [];
    for (const [index, word] of words.entries()) {
      if (inputIds.length > maxLength) break;
      const tokens = this.encode(word, { maxLength: maxLength + 1 - inputIds.length });
      inputIds.push(...tokens);
      owners.push(...tokens.map(() => index));
    }
    const isTruncated = inputIds.length > maxLength;
    if (isTruncated) {
      inputIds.pop();
      owners.pop();
    }
    return { inputIds, tokenTypeIds: inputIds.map(() => 0), words: owners, isTruncated };
  }

  /**
   * Refuses: nothing stands between two texts in this vocabulary.
   *
   * @throws {TypeError} always
   */
  encodePair(): PairWindow[] {
    return refusePairs();
  }

  #insert(piece: string, score: number, id: number): void {
    const symbols = Array.from(piece, (symbol) => symbol.codePointAt(0)!);
    let node = this.#root;
    for (const symbol of symbols) {
      let child = node.children.get(symbol);
      if (!child) node.children.set(symbol, child = { children: new Map(), id: -1 });
      node = child;
    }
    if (symbols.indexOf(SEPARATOR_CODE, 1) > 0) this.#hasInnerSeparator = true;
    // Of two equal pieces the later one counts, as in the model's own package.
    node.id = id;
    this.#scores[id] = score;
    this.#lengths[id] = symbols.length;
  }
}

function isEntry(entry: unknown): entry is [string, number | null] {
  return Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string" && entry[0] !== "" &&
    (entry[1] === null || Number.isFinite(entry[1]));
}

function refusePairs(): never {
  throw new TypeError(
    "Cannot tokenize a pair of texts: Universal Sentence Encoder lite has no separator token, " +
      "use a BERT-like checkpoint for tasks on pairs",
  );
}

/** Code points of the normalised text; a lone surrogate is one symbol. */
function toSymbols(text: string): Int32Array {
  const normalized = text.normalize("NFKC");
  if (normalized === "") return new Int32Array(0);
  const spelled = SEPARATOR + normalized.replaceAll(" ", SEPARATOR);
  const symbols = new Int32Array(spelled.length);
  let count = 0;
  for (let index = 0; index < spelled.length;) {
    const symbol = spelled.codePointAt(index)!;
    symbols[count++] = symbol;
    index += symbol > 0xffff ? 2 : 1;
  }
  return symbols.subarray(0, count);
}
