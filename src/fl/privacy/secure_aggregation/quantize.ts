/** Uploads are added up modulo this. */
export const MODULUS = 2 ** 32;

/** How numbers become whole numbers that can be masked; the defaults are Flower's. */
export interface Quantization {
  /** The largest weight of one client; its share of this, as a whole number, is what its values are multiplied with. */
  readonly maxWeight: number;
  /** c: a weighted value is cut off at −c and c. */
  readonly clippingRange: number;
  /** Q: the interval from −c to c is divided into so many steps. */
  readonly quantizationRange: number;
}

/** Flower's defaults. */
export const defaultQuantization: Quantization = {
  maxWeight: 1000,
  clippingRange: 8,
  quantizationRange: 2 ** 22,
};

/** Numbers that go up before the values: the weight, and how many values were cut off. */
export const HEAD = 2;

/** A client's vector before it's masked. */
export interface Quantized {
  /** [its weight, how many values were cut off, its values], each from 0 to Q. */
  readonly vector: Uint32Array<ArrayBuffer>;
  /** Values that were cut off, because |w·value| > c. */
  readonly clipped: number;
}

/** Options of {@linkcode quantize}. */
export interface QuantizeOptions extends Quantization {
  /** What the client counts for; up to `maxWeight`. */
  readonly weight: number;
  /** A number from [0, 1) for each value, in order: rounding is at random, so that its error is 0 in the mean. */
  readonly uniform: () => number;
  /**
   * For differential privacy: rounds towards 0 instead, so that no change becomes longer than it was, and doesn't say how many values were cut
   * off, as that would get no noise. The mean is then off by up to the bound.
   */
  readonly isShrinking?: boolean | undefined;
}

/**
 * A client's vector of whole numbers, as in Flower's SecAgg+: w = round(Q·weight/maxWeight)/Q, and of each value x the number
 * (clip(w·x, −c, c) + c)·Q/(2c), rounded up or down at random so that it is right in the mean. Arithmetic is in float64, so bits
 * are the same on every machine. Beside Flower's [w, w·x] it has the number of values that were cut off, so that the server learns
 * of all clients together whether the range was wide enough.
 *
 * @throws {RangeError} when the weight is above the largest, or so small that it rounds to 0; or when a value isn't finite.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const options = { ...defaultQuantization, weight: 500, uniform: () => 0.5 };
 * assert.deepEqual([...quantize(Float32Array.of(0, 2), options).vector], [2 ** 21, 0, 2 ** 21, 2 ** 21 + 2 ** 18]);
 * ```
 */
export function quantize(values: ArrayLike<number>, options: QuantizeOptions): Quantized {
  const { maxWeight, clippingRange: c, quantizationRange, weight, uniform, isShrinking = false } = options;
  const ratio = weight / maxWeight;
  const whole = roundHalfEven(ratio * quantizationRange);
  if (!(ratio <= 1 && whole > 0)) {
    throw new RangeError(
      `Cannot weigh an upload by ${weight}: expected at most maxWeight ${maxWeight}, and ` +
        `at least ${maxWeight / quantizationRange} of it; set maxWeight to the largest weight of a client`,
    );
  }
  const w = whole / quantizationRange;
  const perUnit = quantizationRange / (2 * c);
  const vector = new Uint32Array(HEAD + values.length);
  let clipped = 0;
  for (let i = 0; i < values.length; i++) {
    const weighted = values[i]! * w;
    if (!Number.isFinite(weighted)) {
      throw new RangeError(`Cannot quantize value ${i}: expected a finite number, got ${values[i]}`);
    }
    const inside = Math.min(Math.max(weighted, -c), c);
    if (inside !== weighted) clipped++;
    const exact = (inside + c) * perUnit;
    const above = Math.ceil(exact);
    const isDown = isShrinking ? inside > 0 && above > exact : uniform() < above - exact;
    vector[HEAD + i] = isDown ? above - 1 : above;
  }
  vector[0] = whole;
  vector[1] = isShrinking ? 0 : Math.min(clipped, quantizationRange);
  return { vector, clipped };
}

/** What the server has of a sum of vectors. */
export interface WeightedMean {
  /** Σ w_k·x_k / Σ w_k of each value. */
  readonly mean: Float64Array;
  /** Σ w_k in units of `maxWeight`. */
  readonly weight: number;
  /** Values of all clients that were cut off. */
  readonly clipped: number;
}

/**
 * The weighted mean in a sum of the vectors of some clients. Rounding moves a value of it by less than n·2c/(Q·Σw_k), and by 0 in the mean.
 *
 * @param clients how many vectors were added up.
 */
export function dequantizeMean(
  sum: Uint32Array,
  { clients, clippingRange: c, quantizationRange }: Omit<Quantization, "maxWeight"> & {
    readonly clients: number;
  },
): WeightedMean {
  const weight = sum[0]! / quantizationRange;
  const step = (2 * c) / quantizationRange;
  const mean = new Float64Array(sum.length - HEAD);
  for (let i = 0; i < mean.length; i++) mean[i] = (sum[HEAD + i]! * step - clients * c) / weight;
  return { mean, weight, clipped: sum[1]! };
}

/**
 * Makes sure that the sum of so many vectors stays below the modulus.
 *
 * @throws {RangeError} when it might not, with the range that fits.
 */
export function checkRange(
  clients: number,
  { quantizationRange }: Pick<Quantization, "quantizationRange">,
): void {
  if (clients * quantizationRange < MODULUS) return;
  const fits = 2 ** Math.floor(Math.log2((MODULUS - 1) / clients));
  throw new RangeError(
    `Cannot add up the uploads of ${clients} clients modulo 2^32: ${clients} times quantizationRange ${quantizationRange} is ` +
      `beyond it; lower quantizationRange to ${fits}, or ask at most ${
        Math.floor((MODULUS - 1) / quantizationRange)
      } clients each round`,
  );
}

/** As Python's `round`. */
function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}
