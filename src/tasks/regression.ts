import type { RegressionExample } from "../data/examples.ts";
import { placeOf } from "../data/example_place.ts";
import { square, sub } from "../engine/mod.ts";
import { encodeTexts } from "./_encode_texts.ts";
import { groupOutputs } from "./_outputs.ts";
import { pearsonCorrelation, spearmanCorrelation } from "./metrics/correlation.ts";
import type { Task } from "./task.ts";
import { createTaskSet, type TaskSet } from "./task_set.ts";

/** Options of {@linkcode regression}. */
export interface RegressionOptions {
  /** What the number is called, alone in a list; `["value"]` by default. */
  readonly labels?: readonly string[];
}

/** The number of a text. */
export interface RegressionPrediction {
  readonly value: number;
}

/**
 * Foretelling a number of a text, or a pair of texts: squared error, scored by Pearson's and Spearman's correlation, and
 * the mean squared error.
 *
 * @throws {RangeError} unless there is one label.
 */
export function regression(
  { labels = ["value"] }: RegressionOptions = {},
): Task<RegressionExample, RegressionPrediction> {
  if (labels.length !== 1) {
    throw new RangeError(`Cannot foretell ${labels.length} numbers of a text: expected 1 label`);
  }
  const values = ({ size }: TaskSet, outputs: Float32Array) =>
    groupOutputs(outputs, { count: size, size: 1 }).map(([value]) => value!);
  return {
    kind: "regression",
    labels,
    perToken: false,
    metrics: ["pearson", "spearman", "meanSquaredError"],
    ask: (text, textPair) => ({ text, ...(textPair !== undefined && { textPair }), value: 0 }),
    prepare(examples, tokenizer, options) {
      const targets = Float32Array.from(examples, (example, i) => {
        const { value } = example;
        if (Number.isFinite(Math.fround(value))) return value;
        throw new RangeError(
          `Cannot use ${placeOf(example, i)}: its value must be a finite float32, got ${value}`,
        );
      });
      return createTaskSet(encodeTexts(examples, tokenizer, options), { targets });
    },
    losses: (outputs, { targets }) => square(sub(outputs, targets)),
    predict: (set, outputs) => values(set, outputs).map((value) => ({ value })),
    score(set, outputs) {
      const found = values(set, outputs);
      return {
        pearson: pearsonCorrelation(set.targets, found),
        spearman: spearmanCorrelation(set.targets, found),
        meanSquaredError: found.reduce((sum, value, i) => sum + (value - set.targets[i]!) ** 2, 0) /
          found.length,
      };
    },
  };
}
