import { disposeAll, Tensor } from "../engine/mod.ts";
import { jacobiSvd, lowRankSvd, randomizedSvd } from "../engine/linalg/mod.ts";
import type { LowRankFactors } from "./layers/factored/low_rank_linear.ts";

/** Singular values of a matrix. */
export interface Spectrum {
  /** In descending order. */
  readonly values: Float32Array;
  /** Whether these are all min(m, n) of them, or the leading ones. */
  readonly complete: boolean;
}

/** Options of {@linkcode weightSpectrum}. */
export interface WeightSpectrumOptions {
  /**
   * Most values to find, 48 by default. Up to twice as many are found exactly, of a larger matrix the leading ones by a random
   * sketch.
   */
  readonly maxValues?: number;
}

/**
 * Singular values of a matrix [m, n].
 *
 * @throws {RangeError} unless `maxValues` is a positive integer.
 * @throws {NonFiniteError} when an element is NaN or infinite.
 */
export async function weightSpectrum(weight: Tensor, options: WeightSpectrumOptions = {}): Promise<Spectrum> {
  const { maxValues = 48 } = options;
  if (!Number.isInteger(maxValues) || maxValues < 1) {
    throw new RangeError(`Cannot find ${maxValues} singular values: expected a positive integer`);
  }
  const smaller = Math.min(...weight.shape);
  const isSmall = smaller <= 2 * maxValues;
  using svd = disposable(
    isSmall ? await jacobiSvd(weight) : await randomizedSvd(weight, { rank: maxValues, powerIterations: 4 }),
  );
  return { values: await svd.s.floats(), complete: isSmall };
}

/**
 * Singular values of a product B·A [out, in] of rank r, min(r, out, in) of them, without forming it.
 *
 * @throws {NonFiniteError} when an element is NaN or infinite.
 */
export async function productSpectrum({ loraA, loraB }: LowRankFactors): Promise<Spectrum> {
  using svd = disposable(await lowRankSvd({ b: loraB, a: loraA }));
  return { values: await svd.s.floats(), complete: true };
}

/** A record of tensors that goes with its scope. */
function disposable<T extends object>(record: T): T & Disposable {
  return {
    ...record,
    [Symbol.dispose]: () => disposeAll(Object.values(record).filter((value) => value instanceof Tensor)),
  };
}
