import type { TokenBatch, Tokenizer } from "../models/mod.ts";
import type { PrepareOptions } from "./task.ts";

/** A text, or a pair of texts. */
interface Text {
  readonly text: string;
  readonly textPair?: string;
}

/**
 * Tokens of texts, or of pairs of texts, one row each.
 *
 * @throws {RangeError} if some examples are pairs of texts and others aren't.
 */
export function encodeTexts(
  examples: readonly Text[],
  tokenizer: Tokenizer,
  { maxLength }: PrepareOptions,
): TokenBatch {
  const paired = examples[0]?.textPair !== undefined;
  const pairs = examples.flatMap(({ textPair }, i) => {
    if ((textPair !== undefined) === paired) return textPair ?? [];
    throw new RangeError(
      `Cannot use example ${i}: all examples must be pairs of texts, or none, and it ${
        paired ? "has one text where example 0 has two" : "has two texts where example 0 has one"
      }`,
    );
  });
  const texts = examples.map(({ text }) => text);
  return tokenizer.encodeBatch(texts, { maxLength, padTo: maxLength, ...(paired && { pairs }) });
}
