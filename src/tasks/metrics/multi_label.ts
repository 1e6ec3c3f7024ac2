/** Options of {@linkcode multiLabelScores}. */
export interface MultiLabelOptions {
  /** Labels K of each example. */
  readonly numLabels: number;
}

/** How well sets of labels are predicted. */
export interface MultiLabelScores {
  /** F1 = 2·TP / (2·TP + FP + FN) over all labels of all examples. */
  readonly microF1: number;
  /** Unweighted mean of each label's F1; a label that is neither given nor predicted anywhere has 0. */
  readonly macroF1: number;
  /** Share of examples of which every label is right. */
  readonly exactMatch: number;
}

/**
 * Scores of predictions where an example may have any number of labels, as scikit-learn's `f1_score(…, zero_division=0)`
 * and `accuracy_score` have them.
 *
 * @param labels [N, K]: 1 where an example has a label, else 0
 * @param predictions [N, K], likewise
 * @throws {TypeError} if the lengths differ, or aren't a multiple of `numLabels`
 * @throws {RangeError} if there are none, or one is neither 0 nor 1
 */
export function multiLabelScores(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  options: MultiLabelOptions,
): MultiLabelScores {
  const { numLabels } = options;
  check(labels, predictions, numLabels);
  const counts = Array.from({ length: numLabels }, () => ({ hits: 0, all: 0 }));
  let exact = 0;
  for (let start = 0; start < labels.length; start += numLabels) {
    let right = true;
    counts.forEach((count, k) => {
      const [label, prediction] = [labels[start + k]!, predictions[start + k]!];
      count.hits += label * prediction;
      count.all += label + prediction;
      right &&= label === prediction;
    });
    if (right) exact++;
  }
  const f1 = ({ hits, all }: { hits: number; all: number }) => all === 0 ? 0 : 2 * hits / all;
  const total = counts.reduce((sum, { hits, all }) => ({ hits: sum.hits + hits, all: sum.all + all }));
  return {
    microF1: f1(total),
    macroF1: counts.reduce((sum, count) => sum + f1(count), 0) / numLabels,
    exactMatch: exact / (labels.length / numLabels),
  };
}

function check(labels: ArrayLike<number>, predictions: ArrayLike<number>, numLabels: number): void {
  if (!Number.isSafeInteger(numLabels) || numLabels < 1) {
    throw new RangeError(`Cannot score predictions: numLabels must be a positive integer, got ${numLabels}`);
  }
  if (labels.length !== predictions.length || labels.length % numLabels !== 0) {
    throw new TypeError(
      `Cannot score predictions: there must be ${numLabels} of each example, for each as many as labels, got ${predictions.length} and ${labels.length}`,
    );
  }
  if (labels.length === 0) {
    throw new RangeError("Cannot score predictions: there must be at least one, got 0");
  }
  for (const [what, values] of [["label", labels], ["prediction", predictions]] as const) {
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== 0 && values[i] !== 1) {
        throw new RangeError(`Cannot score predictions: ${what} ${i} must be 0 or 1, got ${values[i]}`);
      }
    }
  }
}
