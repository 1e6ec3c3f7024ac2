import { F64Array } from "../../../reference/array.ts";
import {
  eachHead,
  type RelativeAttentionGradients,
  type RelativeAttentionOperands,
  type RelativeAttentionOptions,
} from "../../../reference/relative_attention.ts";
import { F32_MIN_NORMAL, F32_UNIT_ROUNDOFF as U, gammaN } from "../../../support/compare.ts";

/** Relative error of an exponential by math.wgsl, and of a division by WGSL. */
const EXP = 2e-7;
const DIVISION = 5 * U;

/**
 * Bounds of the rounding errors of relative attention and its gradients, to first order, as in `attentionBounds`.
 *
 * A score is off by δ = (γ_d + 5u)·scale·Σ|terms| + u·|s|: three dot products over the head, two additions, the scale, the
 * product with it and the mask. A weight carries ε; dq adds up T + R terms in a row, a row of a table all of its distances,
 * then all queries of all sequences.
 */
export function relativeAttentionBounds(
  operands: RelativeAttentionOperands,
  dy: F64Array,
  options: RelativeAttentionOptions,
): { y: F64Array; gradients: RelativeAttentionGradients } {
  const { q, k, v, positionKeys, positionQueries } = operands;
  const { scale, row } = options;
  const full = ({ shape }: F64Array) => F64Array.full(shape);
  const bounds = {
    y: full(q),
    gradients: {
      q: full(q),
      k: full(k),
      v: full(v),
      ...(positionKeys && { positionKeys: full(positionKeys) }),
      ...(positionQueries && { positionQueries: full(positionQueries) }),
    },
  };
  const { y, gradients } = bounds;
  const rows = Math.max(positionKeys?.shape.at(-2) ?? 0, positionQueries?.shape.at(-2) ?? 0);
  eachHead(operands, options, ({ scores, weights, at, tableAt, size, length }) => {
    const sum = (f: (d: number) => number) =>
      Array.from({ length: size }, (_, d) => f(d)).reduce((a, b) => a + b);
    const magnitude = (i: number, j: number, d: number) => {
      const own = Math.abs(q.data[at(i) + d]! * k.data[at(j) + d]!);
      const byKeys = positionKeys
        ? Math.abs(q.data[at(i) + d]! * positionKeys.data[tableAt(positionKeys, row(i - j)) + d]!)
        : 0;
      const byQueries = positionQueries
        ? Math.abs(k.data[at(j) + d]! * positionQueries.data[tableAt(positionQueries, row(i - j)) + d]!)
        : 0;
      return own + byKeys + byQueries;
    };
    const chain = gammaN(length + rows + 2);
    for (let i = 0; i < length; i++) {
      const each = Array.from({ length }, (_, j) => {
        const score = scores.data[i * length + j]!;
        const error = (gammaN(size) + 5 * U) * scale * sum((d) => magnitude(i, j, d)) + U * Math.abs(score);
        const dw = sum((d) => dy.data[at(i) + d]! * v.data[at(j) + d]!);
        const dwError = gammaN(size) * sum((d) => Math.abs(dy.data[at(i) + d]! * v.data[at(j) + d]!));
        return { score, error, dw, dwError, w: weights.data[i * length + j]! };
      });
      const peak = Math.max(...each.map(({ score }) => score));
      // A key 104 below the largest has the weight 0, whatever its error.
      const slack = Math.max(
        ...each.filter(({ score }) => peak - score < 104).map(({ error, score }) =>
          error + U * (peak - score)
        ),
      );
      const epsilon = Math.expm1(2 * slack + 2 * EXP + gammaN(2 * length + 2) + DIVISION);
      const total = (f: (one: typeof each[number]) => number) => each.reduce((a, one) => a + f(one), 0);
      const mean = total(({ w, dw }) => w * Math.abs(dw));
      const meanError = total(({ w, dwError }) => w * dwError);
      const exactMean = total(({ w, dw }) => w * dw);
      each.forEach(({ w, dw, dwError }, j) => {
        const ds = scale * w * Math.abs(dw - exactMean);
        const dsError = scale * w *
            ((Math.abs(dw) + mean) * (2 * epsilon + gammaN(length + 5)) + dwError + meanError) +
          F32_MIN_NORMAL;
        const off = dsError + chain * ds;
        const overAll = dsError + gammaN(q.size / q.shape[2]! + length) * ds;
        for (let d = 0; d < size; d++) {
          const [query, key] = [at(i) + d, at(j) + d];
          y.data[query]! += w * Math.abs(v.data[key]!) * (epsilon + chain);
          gradients.v.data[key]! += w * Math.abs(dy.data[query]!) * (epsilon + chain);
          gradients.q.data[query]! += off * Math.abs(k.data[key]!);
          gradients.k.data[key]! += off * Math.abs(q.data[query]!);
          if (positionKeys) {
            const table = tableAt(positionKeys, row(i - j)) + d;
            gradients.q.data[query]! += off * Math.abs(positionKeys.data[table]!);
            gradients.positionKeys!.data[table]! += overAll * Math.abs(q.data[query]!);
          }
          if (positionQueries) {
            const table = tableAt(positionQueries, row(i - j)) + d;
            gradients.k.data[key]! += off * Math.abs(positionQueries.data[table]!);
            gradients.positionQueries!.data[table]! += overAll * Math.abs(k.data[key]!);
          }
        }
      });
    }
  });
  return bounds;
}
