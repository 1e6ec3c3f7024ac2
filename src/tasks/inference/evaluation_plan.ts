import type { TaskSet } from "../mod.ts";

/** Rows of a set that are evaluated at once. */
export interface EvaluationRows {
  readonly rows: readonly number[];
  /** Tokens of each row; those after them are padding. */
  readonly length: number;
}

/** Most rows at once. */
const MOST_ROWS = 64;
/** Most rows times tokens², to which attention's scores are proportional; a single row may exceed it. */
const MOST_SCORES = 2 ** 21;
/** Shortest length that rows are cut to. */
const SHORTEST = 16;

/**
 * Which rows of a set are evaluated together: rows of like length, the longest first.
 *
 * @param batchSize rows at once; by default as many as suit their length.
 *
 * @example
 * ```ts no-run
 * for (const { rows, length } of planEvaluation(set)) console.log(rows.length, length);
 * ```
 */
export function planEvaluation(set: TaskSet, batchSize?: number): EvaluationRows[] {
  const lengths = cutLengths(set);
  const order = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]!);
  const plan: EvaluationRows[] = [];
  for (let start = 0; start < order.length;) {
    const length = lengths[order[start]!]!;
    const fitting = Math.min(MOST_ROWS, Math.max(1, Math.floor(MOST_SCORES / length ** 2)));
    const rows = order.slice(start, start + (batchSize ?? fitting));
    plan.push({ rows, length });
    start += rows.length;
  }
  return plan;
}

/**
 * How many tokens of each row are kept: all but the padding, rounded up to one of two lengths per power of two, because every
 * new length needs buffers of its own.
 */
function cutLengths({ size, length, inputs: { attentionMask } }: TaskSet): number[] {
  if (attentionMask === undefined) return new Array<number>(size).fill(length);
  return Array.from({ length: size }, (_, row) => {
    const tokens = attentionMask.data.subarray(row * length, (row + 1) * length).lastIndexOf(1) + 1;
    let cut = SHORTEST;
    while (cut < tokens) cut += 2 ** Math.floor(Math.log2(cut)) / 2;
    return Math.min(cut, length);
  });
}
