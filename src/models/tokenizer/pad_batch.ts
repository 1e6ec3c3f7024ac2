import type { TokenBatch } from "./tokenizer.ts";

/** One text's tokens. */
export interface TokenRow {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
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
  const longest = rows.reduce((length, { ids }) => Math.max(length, ids.length), 1);
  const length = padTo ?? longest;
  checkLength("padTo", length);
  if (length < longest) {
    throw new RangeError(
      `Cannot pad batch: padTo must be at least the longest row, got ${length} and ${longest}`,
    );
  }
  const ids = new Uint32Array(rows.length * length).fill(padId);
  const mask = new Float32Array(rows.length * length);
  const types = rows.some((row) => row.types !== undefined)
    ? new Uint32Array(rows.length * length)
    : undefined;
  for (const [index, row] of rows.entries()) {
    ids.set(row.ids, index * length);
    mask.fill(1, index * length, index * length + row.ids.length);
    types?.set(row.types ?? [], index * length);
  }
  const numTruncated = rows.filter(({ isTruncated }) => isTruncated).length;
  return { ids, mask, batchSize: rows.length, length, numTruncated, ...(types && { types }) };
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
