import { ignoredLabel } from "../engine/mod.ts";
import type { Column, ColumnData, Columns, TokenBatch, TokenColumns } from "../models/mod.ts";

/**
 * Examples of a task as rows on the host, row-major and padded to one length, so that shapes never depend on who trains beside
 * whom. An example has one row, several where its text is seen through windows, or none where it was skipped.
 */
export interface TaskSet {
  /** Number of examples. */
  readonly numExamples: number;
  /** Number of rows N. */
  readonly size: number;
  /** Tokens a row T. */
  readonly length: number;
  /** What a model reads, by name: `inputIds`, `attentionMask` and perhaps `tokenTypeIds`, [N, T], where rows are texts. */
  readonly inputs: Columns;
  /** [N, targetsPerRow]: class numbers, of which those that are `ignoredLabel` don't count, or numbers to predict. */
  readonly targets: Int32Array | Float32Array;
  /** 1 for a text's class, T for a class of every token, 2 for the ends of an answer. */
  readonly targetsPerRow: number;
  /** [numExamples + 1]: example i has the rows from `firstRows[i]` to before `firstRows[i + 1]`. */
  readonly firstRows: Uint32Array;
  /** Rows whose text was cut because it was too long; windows cut nothing. */
  readonly numTruncated: number;
}

/** Options of {@linkcode createTaskSet}. */
export interface CreateTaskSetOptions {
  /** Row by row, as many of each. */
  readonly targets: Int32Array | Float32Array;
  /** Where each example's rows begin, and the number of rows; by default an example has one row. */
  readonly firstRows?: Uint32Array;
}

/**
 * A set of tokens and targets.
 *
 * @throws {TypeError} when there are not as many targets for each row.
 */
export function createTaskSet(
  batch: TokenBatch,
  options: CreateTaskSetOptions,
): TaskSet {
  const { batchSize: size, length, numTruncated = 0 } = batch;
  const { targets, firstRows = Uint32Array.from({ length: size + 1 }, (_, i) => i) } = options;
  const targetsPerRow = size === 0 ? 1 : targets.length / size;
  if (!Number.isInteger(targetsPerRow)) {
    throw new TypeError(`Cannot make a set of ${size} rows: got ${targets.length} targets`);
  }
  return {
    numExamples: firstRows.length - 1,
    size,
    length,
    inputs: columnsOf(batch),
    targets,
    targetsPerRow,
    firstRows,
    numTruncated,
  };
}

function columnsOf({ inputIds, attentionMask, tokenTypeIds, length }: TokenBatch): TokenColumns {
  const column = <Data extends ColumnData>(data: Data): Column<Data> => ({
    data,
    shape: [length],
    perToken: true,
  });
  return {
    inputIds: column(inputIds),
    attentionMask: column(attentionMask),
    ...(tokenTypeIds && { tokenTypeIds: column(tokenTypeIds) }),
  };
}

/** How many targets of a row count. */
export function countTargets({ targets, targetsPerRow }: TaskSet, row: number): number {
  if (targets instanceof Float32Array) return targetsPerRow;
  let count = 0;
  for (let i = row * targetsPerRow; i < (row + 1) * targetsPerRow; i++) {
    if (targets[i] !== ignoredLabel) count++;
  }
  return count;
}

/** The tokens of a row up to the last one that isn't padding; undefined where inputs don't say which are. */
export function countTokens({ inputs: { attentionMask }, length }: TaskSet, row: number): number | undefined {
  return attentionMask && attentionMask.data.subarray(row * length, (row + 1) * length).lastIndexOf(1) + 1;
}

/** The rows of some examples, in their order. */
export function rowsOf({ firstRows }: TaskSet, examples: readonly number[]): number[] {
  return examples.flatMap((example) => {
    const [from, to] = [firstRows[example]!, firstRows[example + 1]!];
    return Array.from({ length: to - from }, (_, i) => from + i);
  });
}
