import type { Tokenizer } from "../models/mod.ts";
import type { PrepareOptions } from "./task.ts";
import type { TaskSet } from "./task_set.ts";

/** A text, or a pair of texts. */
interface Text {
  readonly text: string;
  readonly textPair?: string;
}

/**
 * The rows of a set whose examples have one row each.
 *
 * @throws {RangeError} if some examples are pairs of texts and others aren't.
 */
export function textRows(
  examples: readonly Text[],
  tokenizer: Tokenizer,
  { maxLength }: PrepareOptions,
): Omit<TaskSet, "targets" | "targetsPerRow"> {
  const paired = examples[0]?.textPair !== undefined;
  const pairs = examples.flatMap(({ textPair }, i) => {
    if ((textPair !== undefined) === paired) return textPair ?? [];
    throw new RangeError(
      `Cannot use example ${i}: all examples must be pairs of texts, or none, and it ${
        paired ? "has one text where example 0 has two" : "has two texts where example 0 has one"
      }`,
    );
  });
  const { ids, mask, types } = tokenizer.encodeBatch(examples.map(({ text }) => text), {
    maxLength,
    padTo: maxLength,
    ...(paired && { pairs }),
  });
  return {
    numExamples: examples.length,
    size: examples.length,
    length: maxLength,
    ids,
    mask,
    ...(types && { types }),
    firstRows: Uint32Array.from({ length: examples.length + 1 }, (_, i) => i),
  };
}
