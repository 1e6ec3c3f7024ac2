import { F64Array } from "./array.ts";
import { mapRows } from "./softmax.ts";

/** Options of {@link layerNorm}. */
export interface LayerNormOptions {
  /** Added to the variance inside the square root; 1e-5 by default. */
  readonly epsilon?: number;
}

/**
 * gamma·(x − mean)/√(variance + epsilon) + beta over the last axis, with the biased variance (Ba et al. 2016, eq. 3).
 * gamma and beta are [D], or [C, D] for an x of [C, ..., D].
 */
export function layerNorm(
  x: F64Array,
  gamma: F64Array,
  beta: F64Array,
  options: LayerNormOptions = {},
): F64Array {
  const at = affineIndex(x, gamma);
  return normalize(x, options).normalized.map((value, i) => value * gamma.data[at(i)]! + beta.data[at(i)]!);
}

/** Gradients of `x`, `gamma` and `beta` under {@link layerNorm}. */
export function layerNormGradient(
  x: F64Array,
  gamma: F64Array,
  dy: F64Array,
  options: LayerNormOptions = {},
): { x: F64Array; gamma: F64Array; beta: F64Array } {
  const { normalized, inverseDeviations } = normalize(x, options);
  const at = affineIndex(x, gamma);
  const dGamma = F64Array.full(gamma.shape);
  const dBeta = F64Array.full(gamma.shape);
  dy.data.forEach((gradient, i) => {
    dGamma.data[at(i)]! += gradient * normalized.data[i]!;
    dBeta.data[at(i)]! += gradient;
  });
  const dNormalized = dy.map((gradient, i) => gradient * gamma.data[at(i)]!);
  const dx = mapRows(dNormalized, (row, start) => {
    const mean = meanOf(row);
    const correlation = meanOf(row.map((value, i) => value * normalized.data[start + i]!));
    const scale = inverseDeviations[start / row.length]!;
    return row.map((value, i) => (value - mean - normalized.data[start + i]! * correlation) * scale);
  });
  return { x: dx, gamma: dGamma, beta: dBeta };
}

function normalize(
  x: F64Array,
  { epsilon = 1e-5 }: LayerNormOptions,
): { normalized: F64Array; inverseDeviations: number[] } {
  const inverseDeviations: number[] = [];
  const normalized = mapRows(x, (row) => {
    const mean = meanOf(row);
    const inverse = 1 / Math.sqrt(meanOf(row.map((value) => (value - mean) ** 2)) + epsilon);
    inverseDeviations.push(inverse);
    return row.map((value) => (value - mean) * inverse);
  });
  return { normalized, inverseDeviations };
}

/** Maps a flat index of x to one of gamma: the column, and the client where gamma has a client axis. */
function affineIndex(x: F64Array, gamma: F64Array): (index: number) => number {
  const width = x.shape.at(-1)!;
  const perClient = x.size / (gamma.size / width);
  return (index) => Math.floor(index / perClient) * width + index % width;
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
