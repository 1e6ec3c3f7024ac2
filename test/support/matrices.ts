import { F64Array } from "../reference/array.ts";
import { matmul } from "../reference/matmul.ts";
import { householderQr } from "../reference/qr.ts";
import { Random } from "./random.ts";

/** A matrix with what is known about it. */
export interface MatrixCase {
  readonly name: string;
  /** [m, n], elements exact float32. */
  readonly matrix: F64Array;
  /** The min(m, n) singular values it was built from, descending; rounding to float32 moves them by ≤ u·‖A‖_F. */
  readonly spectrum: readonly number[];
}

/** Independent standard normal elements. */
export function gaussian(shape: readonly number[], random: Random): F64Array {
  return F64Array.full(shape).map(() => random.normal());
}

/** [m, n] with orthonormal columns, m ≥ n, uniformly distributed (the q of a Gaussian matrix). */
export function randomOrthonormal(m: number, n: number, random: Random): F64Array {
  return householderQr(gaussian([m, n], random)).q;
}

/** U·diag(spectrum)·Vᵀ of shape [m, n] with random orthonormal factors, rounded to float32. */
export function matrixWithSpectrum(
  shape: readonly [number, number],
  spectrum: readonly number[],
  random: Random,
): F64Array {
  const [m, n] = shape;
  const k = spectrum.length;
  const scaled = randomOrthonormal(m, k, random).map((value, i) => value * spectrum[i % k]!);
  const product = matmul(scaled, randomOrthonormal(n, k, random), { layout: "NT" });
  return F64Array.fromF32(shape, product.data);
}

/** Every kind of matrix that a decomposition has to survive, in one shape. */
export function matrixCases(shape: readonly [number, number], seed: number): MatrixCase[] {
  const k = Math.min(...shape);
  const random = new Random(seed);
  const spectrumOf = (f: (j: number) => number) => Array.from({ length: k }, (_, j) => f(j));
  const spectra: Record<string, number[]> = {
    linear: spectrumOf((j) => (k - j) / k),
    graded: spectrumOf((j) => 10 ** (-6 * j / Math.max(k - 1, 1))),
    "rank-deficient": spectrumOf((j) => j < Math.ceil(k / 2) ? 1 / (j + 1) : 0),
    repeated: spectrumOf((j) => j < Math.ceil(k / 2) ? 2 : 1),
    orthonormal: spectrumOf(() => 1),
    zero: spectrumOf(() => 0),
  };
  return Object.entries(spectra).map(([kind, spectrum]) => ({
    name: `${kind} ${shape.join("×")}`,
    matrix: matrixWithSpectrum(shape, spectrum, random),
    spectrum,
  }));
}
