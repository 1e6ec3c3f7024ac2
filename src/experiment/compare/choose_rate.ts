import type { Evaluation } from "../../tasks/mod.ts";
import type { RateTuning } from "./comparison.ts";
import { lastEvaluation, type UnitRecord } from "./unit_record.ts";

/** The learning rate that a method uses, and how it was chosen. */
export interface ChosenRate {
  readonly learningRate: number;
  /** Where the best rate is the lowest or highest of several: a better one may be outside. */
  readonly edge?: "lowest" | "highest";
  /** The rates that were tried, ascending, with the scores on validation; a rate that diverged has none. */
  readonly tried: readonly { readonly learningRate: number; readonly evaluation: Evaluation | null }[];
}

/**
 * Chooses the learning rate with the best score on validation. Rates whose score is within a tolerance of the best are told apart by
 * their loss, which is less coarse than a score of few examples; of equal losses the lower rate is taken.
 *
 * @returns null when every rate diverged.
 */
export function chooseRate(
  records: readonly UnitRecord[],
  { tolerance = 0 }: Partial<Pick<RateTuning, "tolerance">> = {},
): ChosenRate | null {
  const tried = records.map((record) => ({
    learningRate: record.learningRate,
    evaluation: lastEvaluation(record),
    metric: record.metric,
  })).sort((a, b) => a.learningRate - b.learningRate);
  const scored = tried.flatMap(({ learningRate, evaluation, metric }) => {
    const score = evaluation?.scores[metric];
    return evaluation === null || score === undefined ? [] : [{ learningRate, score, loss: evaluation.loss }];
  });
  const most = Math.max(...scored.map(({ score }) => score));
  const [best] = scored.filter(({ score }) => score >= most - tolerance)
    .sort((a, b) => a.loss - b.loss || a.learningRate - b.learningRate);
  if (best === undefined) return null;
  const { learningRate } = best;
  const edge = tried.length < 2
    ? undefined
    : learningRate === tried[0]!.learningRate
    ? "lowest"
    : learningRate === tried.at(-1)!.learningRate
    ? "highest"
    : undefined;
  return { learningRate, ...(edge && { edge }), tried };
}
