import { sortLabels } from "./label_order.ts";

/** A text with its class. */
export interface TextExample {
  text: string;
  /** The second text, for tasks on pairs of texts. */
  textPair?: string;
  label: string;
  /** What naturally groups examples, such as an author or a source; a partitioner may split by it. */
  key?: string;
}

/**
 * The classes that occur, in the order of {@linkcode sortLabels}, so that the same data gives the same numbering everywhere.
 *
 * @example
 * ```ts
 * labelsOf([{ text: "a", label: "spam" }, { text: "b", label: "ham" }]); // ["ham", "spam"]
 * ```
 */
export function labelsOf(examples: Iterable<Pick<TextExample, "label">>): string[] {
  const labels = new Set<string>();
  for (const { label } of examples) labels.add(label);
  return sortLabels(labels);
}
