import type { TextExample } from "./text_example.ts";

export type { TextExample };

/** What naturally groups examples, such as an author or a source; a partitioner may split by it. */
export interface Grouped {
  readonly key?: string;
}

/** A text, or a pair of texts, that may have any number of the classes. */
export interface MultiLabelExample extends Grouped {
  readonly text: string;
  readonly textPair?: string;
  readonly labels: readonly string[];
}

/** A text, or a pair of texts, with a number to predict, or several. */
export interface RegressionExample extends Grouped {
  readonly text: string;
  readonly textPair?: string;
  /** The number, or the numbers in the order of the task's labels. */
  readonly value: number | readonly number[];
}

/** A text word by word, and a tag for each word. */
export interface TaggedExample extends Grouped {
  readonly tokens: readonly string[];
  /** As many as words; in BIO form where they mark entities. */
  readonly tags: readonly string[];
  /** The text itself, if the tokenizer is to find its words and its tags are unknown; both lists are empty then. */
  readonly text?: string;
}

/** A question whose answer stands in a text, if anywhere. */
export interface QuestionExample extends Grouped {
  readonly id: string;
  readonly question: string;
  readonly context: string;
  /** Right answers, any of which will do; none where the text does not say. */
  readonly answers: readonly Answer[];
}

/** An answer and where in the context it begins, in UTF-16 units: `context.slice(start, start + text.length) === text`. */
export interface Answer {
  readonly text: string;
  readonly start: number;
}
