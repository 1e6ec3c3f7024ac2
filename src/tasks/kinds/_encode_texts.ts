import { placeOf } from "../../data/examples/example_place.ts";
import type { TokenBatch, Tokenizer } from "../../models/mod.ts";
import type { PrepareOptions } from "../task.ts";

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
  const pairs = examples.flatMap((example, i) => {
    const { textPair } = example;
    if ((textPair !== undefined) === paired) return textPair ?? [];
    throw new RangeError(
      `Cannot use ${placeOf(example, i)}: all examples must be pairs of texts, or none, and it ${
        paired
          ? "has one text where the first example has two"
          : "has two texts where the first example has one"
      }`,
    );
  });
  const texts = examples.map(({ text }) => text);
  return tokenizer.encodeBatch(texts, { maxLength, padTo: maxLength, ...(paired && { pairs }) });
}
