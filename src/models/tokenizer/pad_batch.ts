import type { TokenBatch } from "./tokenizer.ts";

/** One text's tokens. */
export interface TokenRow {
  readonly inputIds: readonly number[];
  readonly tokenTypeIds?: readonly number[];
  /** Whether tokens were cut off. */
  readonly isTruncated?: boolean;
}

/** Options of {@linkcode padBatch}. */
export interface PadBatchOptions {
  /** Length of every row; by default that of the longest one, at least 1. */
  readonly padTo?: number;
  /** The id that padding has. */
  readonly padId: number;
}

/**
 * Rows of tokens as one batch, padded at their ends.
 *
 * @throws {RangeError} if `padTo` is shorter than a row, or not a positive integer.
 */
export function padBatch(rows: readonly TokenRow[], { padTo, padId }: PadBatchOptions): TokenBatch {
  const longest = rows.reduce((length, { inputIds }) => Math.max(length, inputIds.length), 1);
  const length = padTo ?? longest;
  checkLength("padTo", length);
  if (length < longest) {
    throw new RangeError(
      `Cannot pad batch: padTo must be at least the longest row, got ${length} and ${longest}`,
    );
  }
  const inputIds = new Uint32Array(rows.length * length).fill(padId);
  const attentionMask = new Float32Array(rows.length * length);
  const tokenTypeIds = rows.some((row) => row.tokenTypeIds !== undefined)
    ? new Uint32Array(rows.length * length)
    : undefined;
  for (const [index, row] of rows.entries()) {
    inputIds.set(row.inputIds, index * length);
    attentionMask.fill(1, index * length, index * length + row.inputIds.length);
    tokenTypeIds?.set(row.tokenTypeIds ?? [], index * length);
  }
  const numTruncated = rows.filter(({ isTruncated }) => isTruncated).length;
  return {
    inputIds,
    attentionMask,
    batchSize: rows.length,
    length,
    numTruncated,
    ...(tokenTypeIds && { tokenTypeIds }),
  };
}

/**
 * Checks a number of tokens.
 *
 * @throws {RangeError} if it isn't a positive integer.
 */
export function checkLength(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`Cannot tokenize: ${name} must be a positive integer, got ${value}`);
  }
}
