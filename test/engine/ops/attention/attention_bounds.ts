import { F64Array } from "../../../reference/array.ts";
import { F32_MIN_NORMAL, F32_UNIT_ROUNDOFF as U, gammaN } from "../../../support/compare.ts";

/** An attention with float64 values, all [sequences, length, heads·headSize]. */
export interface AttentionProblem {
  readonly q: F64Array;
  readonly k: F64Array;
  readonly v: F64Array;
  readonly dy: F64Array;
  readonly heads: number;
  readonly scale: number;
  /** Added to the score of a sequence, a head, a query and a key. */
  readonly mask: (sequence: number, head: number, query: number, key: number) => number;
  /** Whether the softmax is computed online and its gradient from y, as the fused path does. */
  readonly fused?: boolean;
}

/** Bounds of the rounding errors of the result and the gradients, shaped as they are. */
export interface AttentionBounds {
  readonly y: F64Array;
  readonly q: F64Array;
  readonly k: F64Array;
  readonly v: F64Array;
}

/** Relative error of an exponential by math.wgsl, and of a division by WGSL. */
const EXP = 2e-7;
const DIVISION = 5 * U;

/**
 * Follows rounding errors to first order through the four products and the softmax.
 *
 * A score is off by δ = (γ_d + 3u)·scale·|q|·|k| + u·|s|: the dot product over the head, the scale, the product with it
 * and the mask. A weight is off by the relative ε, twice the row's largest δ and rounded shift (its own and the
 * denominator's), two exponentials, the sum and a division. Then y = Σ w·v, dv = Σ w·dy, dw = dy·v,
 * ds = scale·w·(dw − Σ dw·w), dq = Σ ds·k and dk = Σ ds·q carry ε, and γ of their own lengths.
 *
 * The fused path multiplies by one more exponential whenever a later key raises the maximum; the exponents, each rounded,
 * add up to no more than the first key's distance from the largest. It takes Σ dw·w as Σ y·dy, which carries the errors of y.
 * Block sums make its chains at most twice as long.
 */
export function attentionBounds(problem: AttentionProblem): AttentionBounds {
  const { q, k, v, dy, heads, scale, mask, fused = false } = problem;
  const gamma = (length: number) => gammaN(fused ? 2 * length + 2 : length);
  const [sequences, queries, width] = q.shape as [number, number, number];
  const keys = k.shape[1]!;
  const size = width / heads;
  const bounds = {
    y: F64Array.full(q.shape),
    q: F64Array.full(q.shape),
    k: F64Array.full(k.shape),
    v: F64Array.full(k.shape),
  };
  for (let sequence = 0; sequence < sequences; sequence++) {
    for (let head = 0; head < heads; head++) {
      const at = (length: number, row: number) => (sequence * length + row) * width + head * size;
      const dot = (a: F64Array, b: F64Array, i: number, j: number, f: (value: number) => number) => {
        let sum = 0;
        for (let d = 0; d < size; d++) sum += f(a.data[at(queries, i) + d]! * b.data[at(keys, j) + d]!);
        return sum;
      };
      const own = (value: number) => value;
      for (let i = 0; i < queries; i++) {
        const row = Array.from({ length: keys }, (_, j) => {
          const score = scale * dot(q, k, i, j, own) + mask(sequence, head, i, j);
          const error = (gammaN(size) + 3 * U) * scale * dot(q, k, i, j, Math.abs) + U * Math.abs(score);
          return {
            score,
            error,
            dw: dot(dy, v, i, j, own),
            dwError: gammaN(size) * dot(dy, v, i, j, Math.abs),
          };
        });
        const peak = Math.max(...row.map(({ score }) => score));
        // A key 104 below the largest has the weight 0, whatever its error.
        const seen = row.map((each) => ({ ...each, depth: peak - each.score })).filter(({ depth }) =>
          depth < 104
        );
        const total = seen.reduce((sum, { depth }) => sum + Math.exp(-depth), 0);
        const slack = Math.max(...seen.map(({ error, depth }) => error + U * depth));
        const raised = row.filter(({ score }, j) =>
          j > 0 && score > Math.max(...row.slice(0, j).map((each) => each.score))
        );
        const fades = fused ? 2 * (raised.length * (EXP + U) + U * Math.min(208, peak - row[0]!.score)) : 0;
        const epsilon = Math.expm1(2 * slack + 2 * EXP + gamma(2 * keys + 2) + DIVISION + fades);
        const weights = row.map(({ score }) => Math.exp(score - peak) / total);
        const mean = weights.reduce((sum, w, j) => sum + w * Math.abs(row[j]!.dw), 0);
        const meanError = weights.reduce((sum, w, j) => sum + w * row[j]!.dwError, 0);
        const exactMean = weights.reduce((sum, w, j) => sum + w * row[j]!.dw, 0);
        let deltaError = 0;
        for (let d = 0; fused && d < size; d++) {
          const y = weights.reduce((sum, w, j) => sum + w * Math.abs(v.data[at(keys, j) + d]!), 0);
          deltaError += y * Math.abs(dy.data[at(queries, i) + d]!) * (epsilon + gamma(keys) + gammaN(size));
        }
        weights.forEach((w, j) => {
          const { dw, dwError } = row[j]!;
          const ds = scale * w * Math.abs(dw - exactMean);
          const dsError = scale * w *
              ((Math.abs(dw) + mean) * (2 * epsilon + gammaN(keys + 5)) + dwError + meanError + deltaError) +
            F32_MIN_NORMAL;
          for (let d = 0; d < size; d++) {
            const [query, key] = [at(queries, i) + d, at(keys, j) + d];
            bounds.y.data[query]! += w * Math.abs(v.data[key]!) * (epsilon + gamma(keys));
            bounds.v.data[key]! += w * Math.abs(dy.data[query]!) * (epsilon + gamma(queries));
            bounds.q.data[query]! += (dsError + gamma(keys) * ds) * Math.abs(k.data[key]!);
            bounds.k.data[key]! += (dsError + gamma(queries) * ds) * Math.abs(q.data[query]!);
          }
        });
      }
    }
  }
  return bounds;
}
