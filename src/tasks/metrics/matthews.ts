import { checkIds } from "./_check_ids.ts";

/**
 * Matthews' correlation of labels and predictions, −1 to 1, 0 for guesses; of more than two classes as Gorodkin (2004,
 * doi:10.1016/j.compbiolchem.2004.09.006) has it. It's 0 where all labels or all predictions are of one class, as in
 * scikit-learn's `matthews_corrcoef`.
 *
 * @param labels true class ids
 * @param predictions predicted class ids, in the same order
 * @throws {TypeError} if the lengths differ
 * @throws {RangeError} if there are none, or an id is not an integer from 0
 */
export function matthewsCorrelation(labels: ArrayLike<number>, predictions: ArrayLike<number>): number {
  checkIds(labels, predictions);
  const [ofLabels, ofPredictions] = [histogram(labels), histogram(predictions)];
  let hits = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] === predictions[i]) hits++;
  const n = labels.length;
  const covariance = (total: number, a: Histogram, b: Histogram) =>
    n * total - [...a].reduce((sum, [id, count]) => sum + count * (b.get(id) ?? 0), 0);
  const spread = covariance(n, ofLabels, ofLabels) * covariance(n, ofPredictions, ofPredictions);
  return spread === 0 ? 0 : covariance(hits, ofLabels, ofPredictions) / Math.sqrt(spread);
}

type Histogram = ReadonlyMap<number, number>;

function histogram(ids: ArrayLike<number>): Histogram {
  const counts = new Map<number, number>();
  for (let i = 0; i < ids.length; i++) counts.set(ids[i]!, (counts.get(ids[i]!) ?? 0) + 1);
  return counts;
}
