import { padBatch } from "../../src/models/tokenizer/pad_batch.ts";
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
} from "../../src/models/tokenizer/tokenizer.ts";

const [PAD, START, END] = [0, 1, 2];

/**
 * A tokenizer whose tokens are read off by eye: words between spaces, cut into pieces of three characters that follow
 * each other, between "[" and "]" as BERT puts them. A piece gets the next free id when it is first seen.
 */
export class FakeTokenizer implements Tokenizer {
  readonly padId = PAD;
  readonly maxLength = Infinity;
  readonly #vocabulary = ["_", "[", "]"];

  /** Ids seen so far. */
  get vocabularySize(): number {
    return this.#vocabulary.length;
  }

  /** What ids stand for, with a space between two: "[" and "]" for the special tokens, "_" for padding. */
  spell(inputIds: ArrayLike<number>): string {
    return Array.from(inputIds, (id) => this.#vocabulary[id]).join(" ");
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.encodeWords(words(text).map(({ word }) => word), options).inputIds;
  }

  encodeBatch(texts: readonly string[], options: EncodeBatchOptions = {}): TokenBatch {
    const { maxLength = Infinity, padTo, pairs } = options;
    const rows = texts.map((text, i) => {
      if (!pairs) {
        return { ...this.encodeWords(words(text).map(({ word }) => word), { maxLength }), tokenTypeIds: [] };
      }
      const [first, second] = [this.#pieces(text), this.#pieces(pairs[i]!)].map((all) =>
        all.map(({ id }) => id)
      );
      const isTruncated = first!.length + second!.length + 3 > maxLength;
      while (first!.length + second!.length + 3 > maxLength) {
        (first!.length > second!.length ? first! : second!).pop();
      }
      return { ...joined(first!, second!), isTruncated };
    });
    return padBatch(rows, { padId: PAD, ...(padTo !== undefined && { padTo }) });
  }

  encodeWords(words: readonly string[], { maxLength = Infinity }: EncodeOptions = {}): WordTokens {
    const all = words.flatMap((word, owner) => this.#pieces(word).map(({ id }) => ({ id, owner })));
    const pieces = all.slice(0, maxLength - 2);
    const inputIds = [START, ...pieces.map(({ id }) => id), END];
    return {
      inputIds,
      tokenTypeIds: inputIds.map(() => 0),
      words: [-1, ...pieces.map(({ owner }) => owner), -1],
      isTruncated: all.length > pieces.length,
    };
  }

  encodeText(text: string, { maxLength = Infinity }: EncodeOptions = {}): TextTokens {
    const pieces = this.#pieces(text);
    const inputIds = [START, ...pieces.slice(0, maxLength - 2).map(({ id }) => id), END];
    let word = 0;
    const tokens = pieces.map(({ span: [start, end] }, i) => {
      if (i > 0 && pieces[i - 1]!.span[1] < start) word++;
      return { start, end, word, isSpace: false, place: i + 1 < inputIds.length - 1 ? i + 1 : -1 };
    });
    return { inputIds, tokenTypeIds: inputIds.map(() => 0), tokens };
  }

  encodePair(first: string, second: string, { maxLength, stride }: EncodePairOptions): PairWindow[] {
    const question = this.#pieces(first).map(({ id }) => id);
    const pieces = this.#pieces(second);
    const room = maxLength - question.length - 3;
    if (room <= stride) throw new RangeError(`Cannot see a text through windows of ${room} tokens`);
    const windows: PairWindow[] = [];
    for (let start = 0; start === 0 || start + stride < pieces.length; start += room - stride) {
      const seen = pieces.slice(start, start + room);
      windows.push({
        ...joined(question, seen.map(({ id }) => id)),
        spans: [
          ...question.map(() => undefined),
          undefined,
          undefined,
          ...seen.map(({ span }) => span),
          undefined,
        ],
      });
    }
    return windows;
  }

  #pieces(text: string): { id: number; span: TokenSpan }[] {
    return words(text).flatMap(({ word, start }) => {
      const pieces = word.match(/.{1,3}/gsu) ?? [];
      return pieces.map((piece) => {
        const span: TokenSpan = [start, start += piece.length];
        return { id: this.#idOf(piece), span };
      });
    });
  }

  #idOf(piece: string): number {
    const id = this.#vocabulary.indexOf(piece);
    return id >= 0 ? id : this.#vocabulary.push(piece) - 1;
  }
}

function words(text: string): { word: string; start: number }[] {
  return [...text.matchAll(/\S+/g)].map(({ 0: word, index }) => ({ word, start: index }));
}

function joined(
  first: readonly number[],
  second: readonly number[],
): { inputIds: number[]; tokenTypeIds: number[] } {
  return {
    inputIds: [START, ...first, END, ...second, END],
    tokenTypeIds: [
      ...new Array<number>(first.length + 2).fill(0),
      ...new Array<number>(second.length + 1).fill(1),
    ],
  };
}
