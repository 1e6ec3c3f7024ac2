import { placeOf } from "../../data/examples/example_place.ts";
import type { TextExample } from "../../data/examples/text_example.ts";
import { crossEntropy, reshape } from "../../engine/mod.ts";
import { encodeTexts } from "./_encode_texts.ts";
import { labelNumber, numberLabels } from "./_labels.ts";
import { rowReader } from "./row_reader.ts";
import { largest, namedShares, softmaxOf } from "./outputs.ts";
import { accuracy } from "../metrics/accuracy.ts";
import { macroF1 } from "../metrics/f1.ts";
import { matthewsCorrelation } from "../metrics/matthews.ts";
import type { Task } from "../task.ts";
import { createTaskSet } from "../task_set.ts";

/** Options of {@linkcode classification}. */
export interface ClassificationOptions {
  /** Names of the classes, at least two, in the order of the outputs. */
  readonly labels: readonly string[];
}

/** The class of a text. */
export interface ClassPrediction {
  readonly label: string;
  /**
   * Of each class by its name, in the order of the outputs; but JavaScript puts names that are whole numbers first, by value.
   */
  readonly probabilities: Readonly<Record<string, number>>;
}

/**
 * Predicts which one of several classes a text, or a pair of texts, belongs to: cross-entropy, scored by accuracy, macro-F1
 * and Matthews' correlation.
 *
 * @throws {RangeError} with fewer than two labels.
 * @throws {TypeError} when a label is named twice.
 */
export function classification({ labels }: ClassificationOptions): Task<TextExample, ClassPrediction> {
  const numbers = numberLabels(labels, 2);
  const numClasses = labels.length;
  const shape = { width: numClasses, perToken: false };
  return {
    kind: "sequence-classification",
    labels,
    perToken: false,
    metrics: ["accuracy", "macroF1", "matthews"],
    ask: (text, textPair) => ({ text, ...(textPair !== undefined && { textPair }), label: labels[0]! }),
    prepare(examples, tokenizer, options) {
      const targets = Int32Array.from(
        examples,
        (example, i) => labelNumber(numbers, example.label, () => placeOf(example, i)),
      );
      return createTaskSet(encodeTexts(examples, tokenizer, options), { targets });
    },
    losses(outputs, { targets }) {
      return crossEntropy(reshape(outputs, [...targets.shape, numClasses]), targets);
    },
    predictor: (set) =>
      rowReader(set, {
        ...shape,
        read: (outputs) => ({
          label: labels[largest(outputs)]!,
          probabilities: namedShares(labels, softmaxOf(outputs)),
        }),
        finish: (predictions) => [...predictions],
      }),
    scorer: (set) =>
      rowReader(set, {
        ...shape,
        read: largest,
        finish: (found) => ({
          accuracy: accuracy(set.targets, found),
          macroF1: macroF1(set.targets, found, { numClasses }),
          matthews: matthewsCorrelation(set.targets, found),
        }),
      }),
  };
}
