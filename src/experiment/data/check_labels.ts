import { labelsIn } from "../../data/examples/class_counts.ts";
import { placeOf } from "../../data/mod.ts";
import { cut, excerpt } from "../../data/text/excerpt.ts";
import { nearestKey } from "../../data/text/nearest_key.ts";
import type { TaskKind } from "../../tasks/mod.ts";
import type { Example } from "./load_data.ts";
import { ConfigError } from "../config/parse_config.ts";
import { listWithin } from "../text/list_within.ts";

/** What one label and several are called. */
export interface LabelNoun {
  readonly one: string;
  readonly many: string;
}

/** The word for a label in each kind of task; kinds without labels have none. */
export const labelNoun: Readonly<Partial<Record<TaskKind, LabelNoun>>> = {
  "sequence-classification": { one: "class", many: "classes" },
  "multi-label-classification": { one: "label", many: "labels" },
  "token-classification": { one: "tag", many: "tags" },
};

/** Options of {@linkcode checkLabels}. */
export interface CheckLabelsOptions {
  readonly kind: TaskKind;
  /** The labels of the outputs. */
  readonly labels: readonly string[];
  /** What to call them in the message, such as `"data.labels"` or `"the model's labels"`. */
  readonly owner: string;
  /** What the user can do about other labels. */
  readonly advice: string;
}

/**
 * Checks that examples have only labels that a model has.
 *
 * @throws {ConfigError} naming the file and line of the first example with another label, that label, and the model's labels.
 */
export function checkLabels(
  examples: readonly Example[],
  { kind, labels, owner, advice }: CheckLabelsOptions,
): void {
  const noun = labelNoun[kind]?.one;
  if (noun === undefined) return;
  const known = new Set(labels);
  let numOthers = 0;
  let first: { readonly example: Example; readonly index: number; readonly label: string } | undefined;
  examples.forEach((example, index) => {
    const label = [...labelsIn(example)].find((each) => !known.has(each));
    if (label === undefined) return;
    numOthers++;
    first ??= { example, index, label };
  });
  if (first === undefined) return;
  const { example, index, label } = first;
  // A label of one or two letters is near every other.
  const nearest = label.length > 2 ? nearestKey(label, labels) : undefined;
  throw new ConfigError(
    listWithin(labels.map(cut), {
      before: `Cannot use ${placeOf(example, index)}: its ${noun} ${excerpt(label)} isn't among ${owner}: `,
      width: 400,
    }) +
      (numOthers > 1
        ? `; ${numOthers - 1} more ${numOthers === 2 ? "example has" : "examples have"} such a ${noun}`
        : "") +
      (nearest === undefined ? "" : `; did you mean ${excerpt(nearest)}?`) + `; ${advice}`,
  );
}
