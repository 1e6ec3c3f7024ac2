import type { TextExample } from "../data/text_example.ts";
import type { Tokenizer } from "../models/encoder.ts";

/** Labelled texts as padded token ids on the host, row-major. */
export interface TokenizedSet {
  /** Number of examples N. */
  readonly size: number;
  /** Tokens a row T. */
  readonly length: number;
  /** [N, T]. */
  readonly ids: Uint32Array;
  /** [N, T]: 1 for a token, 0 for padding. */
  readonly mask: Float32Array;
  /** [N]: the number of each example's class. */
  readonly labels: Int32Array;
}

/** Options of {@linkcode tokenizeExamples}. */
export interface TokenizeExamplesOptions {
  /** Names of the classes, in the order of the logits. */
  readonly labels: readonly string[];
  /** Tokens kept of each text; every row is padded to this, so that shapes never depend on who trains beside whom. */
  readonly maxLength: number;
}

/**
 * Tokenizes labelled texts.
 *
 * @throws {RangeError} when an example's label is none of `labels`.
 */
export function tokenizeExamples(
  examples: readonly TextExample[],
  tokenizer: Tokenizer,
  options: TokenizeExamplesOptions,
): TokenizedSet {
  const { maxLength, labels } = options;
  const labelIds = new Map(labels.map((label, i) => [label, i]));
  const numbers = examples.map(({ label }, i) => {
    const id = labelIds.get(label);
    if (id === undefined) {
      throw new RangeError(
        `Cannot use example ${i}: its label "${label}" is unknown to the head, which has ${
          labels.join(", ")
        }`,
      );
    }
    return id;
  });
  const batch = tokenizer.encodeBatch(examples.map(({ text }) => text), { maxLength, padTo: maxLength });
  return {
    size: examples.length,
    length: maxLength,
    ids: Uint32Array.from(batch.ids),
    mask: batch.mask,
    labels: Int32Array.from(numbers),
  };
}
