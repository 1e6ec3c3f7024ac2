import { excerptOfNames } from "../../data/text/excerpt.ts";
import type { RegressionExample } from "../../data/examples/examples.ts";
import { placeOf } from "../../data/examples/example_place.ts";
import { square, sub } from "../../engine/mod.ts";
import { encodeTexts } from "./_encode_texts.ts";
import { numberLabels } from "./_labels.ts";
import { namedShares } from "./outputs.ts";
import { rowReader } from "./row_reader.ts";
import { pearsonCorrelation, spearmanCorrelation } from "../metrics/correlation.ts";
import type { Task } from "../task.ts";
import { createTaskSet } from "../task_set.ts";

/** Options of {@linkcode regression}. */
export interface RegressionOptions {
  /** Names of the numbers, in the order of the outputs; `["value"]` by default. */
  readonly labels?: readonly string[];
}

/** The number of a text, or its several numbers by their names. */
export type RegressionPrediction =
  | { readonly value: number }
  | { readonly values: Readonly<Record<string, number>> };

/**
 * Predicts a number for a text or a pair of texts, or several numbers: squared error, scored by Pearson's and Spearman's
 * correlation, each the mean over the numbers, and the mean squared error over all.
 *
 * @throws {RangeError} without a label.
 * @throws {TypeError} when a label is named twice.
 */
export function regression(
  { labels = ["value"] }: RegressionOptions = {},
): Task<RegressionExample, RegressionPrediction> {
  const numValues = numberLabels(labels, 1).size;
  const shape = { width: numValues, perToken: false };
  return {
    kind: "regression",
    labels,
    perToken: false,
    metrics: ["pearson", "spearman", "meanSquaredError"],
    lowerIsBetter: ["meanSquaredError"],
    ask: (text, textPair) => ({
      text,
      ...(textPair !== undefined && { textPair }),
      value: numValues === 1 ? 0 : labels.map(() => 0),
    }),
    prepare(examples, tokenizer, options) {
      const targets = Float32Array.from(examples.flatMap((example, i) => numbersOf(example, labels, i)));
      return createTaskSet(encodeTexts(examples, tokenizer, options), { targets });
    },
    losses: (outputs, { targets }) => square(sub(outputs, targets)),
    predictor: (set) =>
      rowReader(set, {
        ...shape,
        read: (outputs): RegressionPrediction =>
          numValues === 1 ? { value: outputs[0]! } : { values: namedShares(labels, [...outputs]) },
        finish: (predictions) => [...predictions],
      }),
    scorer: ({ targets, ...set }) =>
      rowReader(set, {
        ...shape,
        read: (outputs) => [...outputs],
        finish(rows) {
          const found = rows.flat();
          const column = (values: ArrayLike<number>, k: number) =>
            rows.map((_, i) => values[i * numValues + k]!);
          const meanOf = (score: typeof pearsonCorrelation) =>
            mean(labels.map((_, k) => score(column(targets, k), column(found, k))));
          return {
            pearson: meanOf(pearsonCorrelation),
            spearman: meanOf(spearmanCorrelation),
            meanSquaredError: mean(found.map((value, i) => (value - targets[i]!) ** 2)),
          };
        },
      }),
  };
}

/** Names of the numbers of examples: `value` of one, `value_0` and so on of several. */
export function valuesOf(examples: Iterable<Pick<RegressionExample, "value">>): string[] {
  for (const { value } of examples) {
    if (typeof value !== "number") return value.map((_, i) => `value_${i}`);
  }
  return ["value"];
}

/** The numbers of an example, in the order of the labels. */
function numbersOf(example: RegressionExample, labels: readonly string[], index: number): readonly number[] {
  const values = typeof example.value === "number" ? [example.value] : example.value;
  if (values.length !== labels.length) {
    throw new RangeError(
      `Cannot use ${placeOf(example, index)}: expected ${
        labels.length === 1 ? "one number" : `${labels.length} numbers, ${excerptOfNames(labels)}`
      }, got ${values.length}`,
    );
  }
  const bad = values.find((value) => !Number.isFinite(Math.fround(value)));
  if (bad === undefined) return values;
  throw new RangeError(
    `Cannot use ${placeOf(example, index)}: its value must be a finite float32, got ${bad}`,
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
