import type { Tensor } from "../tensor.ts";
import { type MatrixExtents, type Rows, signsOf, unpack } from "./_rows.ts";

/** Singular vectors as rows: left ones of length m, right ones of length n. */
export interface VectorRows {
  readonly left: Rows;
  readonly right: Rows;
}

/**
 * The singular vectors u [m, rank] and vt [rank, n] of each matrix, signed so that the largest |element| of each left vector
 * is positive.
 */
export function signedVectors(
  { left, right }: VectorRows,
  { m, n, leading }: Pick<MatrixExtents, "m" | "n" | "leading">,
): { u: Tensor; vt: Tensor } {
  const rank = left.shape[1]!;
  const factor = signsOf(left, m);
  return {
    u: unpack(left, { count: rank, length: m, rowStep: 1, step: rank }, {
      factor,
      shape: [...leading, m, rank],
    }),
    vt: unpack(right, { count: rank, length: n, rowStep: n, step: 1 }, {
      factor,
      shape: [...leading, rank, n],
    }),
  };
}
