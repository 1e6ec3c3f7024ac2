import { F64Array } from "./array.ts";
import { softmax, softmaxGradient } from "./softmax.ts";

/** Operands of {@link relativeAttention}: q, k and v are [N, T, H·D], tables [R, H·D] or [C, R, H·D] with C dividing N. */
export interface RelativeAttentionOperands {
  readonly q: F64Array;
  readonly k: F64Array;
  readonly v: F64Array;
  readonly positionKeys?: F64Array | undefined;
  readonly positionQueries?: F64Array | undefined;
}

/** Options of {@link relativeAttention}. */
export interface RelativeAttentionOptions {
  readonly heads: number;
  readonly scale: number;
  /** The row of the distance query − key. */
  readonly row: (distance: number) => number;
  /** Added to the score of a sequence and a key. */
  readonly mask?: (sequence: number, key: number) => number;
}

/** Gradients of the operands. */
export type RelativeAttentionGradients = { [name in keyof RelativeAttentionOperands]: F64Array };

/**
 * softmax(scale·(q_i·k_j + q_i·pk_row(i − j) + k_j·pq_row(i − j)) + mask)·v, term by term (He et al. 2020,
 * arXiv:2006.03654, eq. 4).
 */
export function relativeAttention(
  operands: RelativeAttentionOperands,
  options: RelativeAttentionOptions,
): F64Array {
  const { v } = operands;
  const y = F64Array.full(v.shape);
  eachHead(operands, options, ({ weights, at, size, length }) => {
    for (let i = 0; i < length; i++) {
      for (let j = 0; j < length; j++) {
        for (let d = 0; d < size; d++) {
          y.data[at(i) + d]! += weights.data[i * length + j]! * v.data[at(j) + d]!;
        }
      }
    }
  });
  return y;
}

/** Gradients under {@link relativeAttention}. */
export function relativeAttentionGradient(
  operands: RelativeAttentionOperands,
  dy: F64Array,
  options: RelativeAttentionOptions,
): RelativeAttentionGradients {
  const { q, k, v, positionKeys, positionQueries } = operands;
  const gradients = {
    q: F64Array.full(q.shape),
    k: F64Array.full(k.shape),
    v: F64Array.full(v.shape),
    ...(positionKeys && { positionKeys: F64Array.full(positionKeys.shape) }),
    ...(positionQueries && { positionQueries: F64Array.full(positionQueries.shape) }),
  };
  eachHead(operands, options, ({ scores, weights, at, tableAt, size, length }) => {
    const dWeights = weights.map((_, index) => {
      const [i, j] = [Math.floor(index / length), index % length];
      return dot(dy, at(i), { other: v, start: at(j), size });
    });
    const dScores = softmaxGradient(scores, dWeights);
    for (let i = 0; i < length; i++) {
      for (let j = 0; j < length; j++) {
        const ds = options.scale * dScores.data[i * length + j]!;
        const row = options.row(i - j);
        for (let d = 0; d < size; d++) {
          const [query, key] = [at(i) + d, at(j) + d];
          gradients.v.data[key]! += weights.data[i * length + j]! * dy.data[query]!;
          gradients.q.data[query]! += ds * k.data[key]!;
          gradients.k.data[key]! += ds * q.data[query]!;
          if (positionKeys) {
            const table = tableAt(positionKeys, row) + d;
            gradients.q.data[query]! += ds * positionKeys.data[table]!;
            gradients.positionKeys!.data[table]! += ds * q.data[query]!;
          }
          if (positionQueries) {
            const table = tableAt(positionQueries, row) + d;
            gradients.k.data[key]! += ds * positionQueries.data[table]!;
            gradients.positionQueries!.data[table]! += ds * k.data[key]!;
          }
        }
      }
    }
  });
  return gradients;
}

/** One head of one sequence. */
export interface RelativeHead {
  /** Masked scores and their softmax, [T, T]. */
  readonly scores: F64Array;
  readonly weights: F64Array;
  /** Where the head's columns of a place begin in q, k, v and y. */
  readonly at: (position: number) => number;
  /** Where they begin in a row of a table. */
  readonly tableAt: (table: F64Array, row: number) => number;
  readonly size: number;
  readonly length: number;
}

/** Calls `use` for every head of every sequence. */
export function eachHead(
  { q, k, positionKeys, positionQueries }: RelativeAttentionOperands,
  { heads, scale, row, mask = () => 0 }: RelativeAttentionOptions,
  use: (head: RelativeHead) => void,
): void {
  const [sequences, length, width] = q.shape as [number, number, number];
  const size = width / heads;
  for (let sequence = 0; sequence < sequences; sequence++) {
    for (let head = 0; head < heads; head++) {
      const at = (position: number) => (sequence * length + position) * width + head * size;
      const tableAt = (table: F64Array, row: number) => {
        const members = table.shape.length === 3 ? table.shape[0]! : 1;
        const member = Math.floor(sequence / (sequences / members));
        return (member * table.shape.at(-2)! + row) * width + head * size;
      };
      const scores = F64Array.full([length, length]).map((_, index) => {
        const [i, j] = [Math.floor(index / length), index % length];
        let score = dot(q, at(i), { other: k, start: at(j), size });
        if (positionKeys) {
          score += dot(q, at(i), { other: positionKeys, start: tableAt(positionKeys, row(i - j)), size });
        }
        if (positionQueries) {
          score += dot(k, at(j), {
            other: positionQueries,
            start: tableAt(positionQueries, row(i - j)),
            size,
          });
        }
        return scale * score + mask(sequence, j);
      });
      use({ scores, weights: softmax(scores), at, tableAt, size, length });
    }
  }
}

function dot(
  x: F64Array,
  from: number,
  { other, start, size }: { readonly other: F64Array; readonly start: number; readonly size: number },
): number {
  let sum = 0;
  for (let d = 0; d < size; d++) sum += x.data[from + d]! * other.data[start + d]!;
  return sum;
}
