import type { MultiLabelExample } from "../../data/examples/examples.ts";
import { placeOf } from "../../data/examples/example_place.ts";
import { sortLabels } from "../../data/examples/label_order.ts";
import { binaryCrossEntropy } from "../../engine/mod.ts";
import { encodeTexts } from "./_encode_texts.ts";
import { labelNumber, numberLabels } from "./_labels.ts";
import { namedShares } from "./outputs.ts";
import { rowReader } from "./row_reader.ts";
import { multiLabelScores } from "../metrics/multi_label.ts";
import type { Task } from "../task.ts";
import { createTaskSet } from "../task_set.ts";

/** Options of {@linkcode multiLabelClassification}. */
export interface MultiLabelClassificationOptions {
  /** Names of the labels, in the order of the outputs. */
  readonly labels: readonly string[];
  /** A label applies from this probability on; 0.5 by default. */
  readonly threshold?: number;
}

/** The labels of a text. */
export interface MultiLabelPrediction {
  /** Those that apply, in the order of the outputs; possibly none. */
  readonly labels: readonly string[];
  /**
   * Of each label by its name, in the order of the outputs; but JavaScript puts names that are whole numbers first, by value.
   */
  readonly probabilities: Readonly<Record<string, number>>;
}

/**
 * Predicts which of several labels apply to a text, or a pair of texts, each label independently: binary cross-entropy, scored
 * by micro and macro F1 and the share of texts with every label right.
 *
 * @throws {RangeError} with no label, or a threshold that isn't between 0 and 1.
 * @throws {TypeError} when a label is named twice.
 */
export function multiLabelClassification(
  { labels, threshold = 0.5 }: MultiLabelClassificationOptions,
): Task<MultiLabelExample, MultiLabelPrediction> {
  const numbers = numberLabels(labels, 1);
  const numLabels = labels.length;
  if (!(threshold > 0 && threshold < 1)) {
    throw new RangeError(`Cannot predict labels: threshold must be between 0 and 1, got ${threshold}`);
  }
  const shape = { width: numLabels, perToken: false };
  const sharesOf = (outputs: Float32Array) => Array.from(outputs, (logit) => 1 / (1 + Math.exp(-logit)));
  return {
    kind: "multi-label-classification",
    labels,
    perToken: false,
    metrics: ["microF1", "macroF1", "exactMatch"],
    ask: (text, textPair) => ({ text, ...(textPair !== undefined && { textPair }), labels: [] }),
    prepare(examples, tokenizer, options) {
      const targets = new Float32Array(examples.length * numLabels);
      examples.forEach((example, i) => {
        for (const label of example.labels) {
          targets[i * numLabels + labelNumber(numbers, label, () => placeOf(example, i))] = 1;
        }
      });
      return createTaskSet(encodeTexts(examples, tokenizer, options), { targets });
    },
    losses: (outputs, { targets }) => binaryCrossEntropy(outputs, targets),
    predictor: (set) =>
      rowReader(set, {
        ...shape,
        read(outputs) {
          const shares = sharesOf(outputs);
          return {
            labels: labels.filter((_, k) => shares[k]! >= threshold),
            probabilities: namedShares(labels, shares),
          };
        },
        finish: (predictions) => [...predictions],
      }),
    scorer: (set) =>
      rowReader(set, {
        ...shape,
        read: (outputs) => sharesOf(outputs).map((share) => share >= threshold ? 1 : 0),
        finish: (found) => ({ ...multiLabelScores(set.targets, found.flat(), { numLabels }) }),
      }),
  };
}

/** The labels that occur, in the order of {@linkcode sortLabels}, so that the same data gives the same numbering everywhere. */
export function multiLabelsOf(examples: Iterable<Pick<MultiLabelExample, "labels">>): string[] {
  const labels = new Set<string>();
  for (const example of examples) for (const label of example.labels) labels.add(label);
  return sortLabels(labels);
}
