/** A question, by how its score depends on whether it is answered. */
export interface ThresholdQuestion {
  /** By how much the score of no answer exceeds the best answer's; Infinity where there is no answer to give. */
  readonly margin: number;
  /** Its score, such as F1, with the best answer. */
  readonly answered: number;
  /** Its score with no answer. */
  readonly unanswered: number;
}

/** The result of {@linkcode bestNoAnswerThreshold}. */
export interface BestThreshold {
  /** Questions whose margin exceeds it are left unanswered. */
  readonly threshold: number;
  /** Mean score of the questions with it. */
  readonly score: number;
}

/**
 * The threshold with the best mean score: a sweep over the margins as `find_best_thresh` of SQuAD 2.0's official script does it
 * (Rajpurkar et al. 2018, arXiv:1806.03822). Of equally good thresholds the least is taken. Unlike
 * there, questions of equal margins are answered together, and if it is best to answer none the threshold does so: it is 0 if
 * all margins are positive, otherwise 1 below the least margin.
 *
 * @throws {RangeError} without questions, or when a number is NaN.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const found = bestNoAnswerThreshold([
 *   { margin: -2, answered: 1, unanswered: 0 },
 *   { margin: 3, answered: 0.5, unanswered: 0 },
 *   { margin: 4, answered: 0, unanswered: 1 },
 * ]);
 * assert.deepEqual(found, { threshold: 3, score: 2.5 / 3 });
 * ```
 */
export function bestNoAnswerThreshold(questions: readonly ThresholdQuestion[]): BestThreshold {
  if (questions.length === 0) {
    throw new RangeError("Cannot choose a threshold: expected at least one question, got 0");
  }
  for (const { margin, answered, unanswered } of questions) {
    if (Number.isNaN(margin + answered + unanswered)) {
      throw new RangeError(
        `Cannot choose a threshold: expected numbers, got the margin ${margin} and scores ${answered}, ${unanswered}`,
      );
    }
  }
  const sorted = [...questions].sort((a, b) => a.margin < b.margin ? -1 : a.margin > b.margin ? 1 : 0);
  const least = sorted[0]!.margin;
  let sum = sorted.reduce((total, { unanswered }) => total + unanswered, 0);
  let best = { threshold: least > 0 ? 0 : least - 1, sum };
  sorted.forEach(({ margin, answered, unanswered }, i) => {
    sum += answered - unanswered;
    const isLast = sorted[i + 1]?.margin !== margin;
    if (isLast && margin < Infinity && sum > best.sum) best = { threshold: margin, sum };
  });
  return { threshold: best.threshold, score: best.sum / sorted.length };
}
