import { layOut, paddedLength, type RowLayout } from "../row_layout.ts";
import { countTokens, type TaskSet } from "../task_set.ts";

/** Rows of a set that are evaluated at once. */
export interface EvaluationRows {
  readonly rows: readonly number[];
  /** Tokens of each row up to its padding; undefined where inputs don't say. */
  readonly tokens: readonly number[] | undefined;
  readonly layout: RowLayout;
}

/** Options of {@linkcode planEvaluation}. */
export interface PlanEvaluationOptions {
  /** Rows at once; by default as many as suit their length. */
  readonly batchSize?: number | undefined;
  /** Whether the encoder takes tokens without padding between texts; it doesn't by default. */
  readonly packsTokens?: boolean;
}

/** Most rows at once. */
const MOST_ROWS = 64;
/** Most rows times tokens², to which attention's scores are proportional; a single row may exceed it. */
const MOST_SCORES = 2 ** 21;
/** The share of padding from which on it's worth a few copies to leave it out. */
const WORTH = 1 / 16;

/**
 * Which rows of a set are evaluated together: rows of like length, the longest first, without the padding beyond the longest.
 *
 * @example
 * ```ts no-run
 * for (const { rows, layout } of planEvaluation(set)) console.log(rows.length, layout.length);
 * ```
 */
export function planEvaluation(set: TaskSet, options: PlanEvaluationOptions = {}): EvaluationRows[] {
  const { batchSize, packsTokens = false } = options;
  const { length: longest } = set;
  const counts = Array.from({ length: set.size }, (_, row) => countTokens(set, row));
  const lengths = counts.map((count) => paddedLength(count ?? longest, longest));
  const order = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]!);
  const plan: EvaluationRows[] = [];
  for (let start = 0; start < order.length;) {
    const length = lengths[order[start]!]!;
    const fitting = Math.min(MOST_ROWS, Math.max(1, Math.floor(MOST_SCORES / length ** 2)));
    const rows = order.slice(start, start + (batchSize ?? fitting));
    const tokens = rows.flatMap((row) => counts[row] ?? []);
    const isKnown = tokens.length === rows.length;
    plan.push({
      rows,
      tokens: isKnown ? tokens : undefined,
      layout: isKnown && packsTokens ? layOut([tokens], { longest, worth: WORTH }) : { length },
    });
    start += rows.length;
  }
  return plan;
}
