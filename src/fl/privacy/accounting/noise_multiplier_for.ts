import { privacySpent, type PrivacySpentOptions } from "./privacy_spent.ts";
import type { SampledGaussian } from "./sampled_gaussian.ts";

/** Options of {@linkcode noiseMultiplierFor}. */
export interface NoiseMultiplierOptions
  extends
    Pick<PrivacySpentOptions, "delta" | "orders" | "conversion">,
    Omit<SampledGaussian, "noiseMultiplier"> {}

/** Beyond these nobody's model learns anything, or nothing is private. */
const [LEAST, MOST] = [2 ** -10, 2 ** 30];
/** Relative width at which the search ends. */
const WIDTH = 1e-9;

/**
 * The least noise multiplier whose rounds stay within ε at δ, found by bisection to nine digits and never below.
 *
 * @throws {RangeError} when ε isn't positive, or so small that the orders can't show it.
 *
 * @example
 * ```ts
 * noiseMultiplierFor(2, { samplingRate: 0.01, rounds: 1000, delta: 1e-5 });
 * ```
 */
export function noiseMultiplierFor(epsilon: number, options: NoiseMultiplierOptions): number {
  if (!(epsilon > 0)) {
    throw new RangeError(`Cannot find noise for ε ${epsilon}: expected a positive number`);
  }
  const { samplingRate, rounds } = options;
  const isWithin = (noiseMultiplier: number) =>
    privacySpent([{ samplingRate, rounds, noiseMultiplier }], options).epsilon <= epsilon;
  let high = 1;
  while (!isWithin(high)) {
    high *= 2;
    if (high > MOST) {
      throw new RangeError(
        `Cannot find noise for ε ${epsilon} at δ ${options.delta}: no noise keeps ${rounds} rounds within it; raise ε`,
      );
    }
  }
  let low = high / 2;
  while (isWithin(low)) {
    if (low < LEAST) return low;
    [low, high] = [low / 2, low];
  }
  while (high - low > WIDTH * high) {
    const middle = (low + high) / 2;
    if (isWithin(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * How many rounds of a mechanism stay within ε at δ after others that were played before; at most `most`.
 *
 * @throws as {@linkcode privacySpent}.
 */
export function roundsWithin(
  epsilon: number,
  mechanism: Omit<SampledGaussian, "rounds">,
  { most, before = [], ...options }: PrivacySpentOptions & {
    readonly most: number;
    readonly before?: readonly SampledGaussian[];
  },
): number {
  const isWithin = (rounds: number) =>
    privacySpent([...before, { ...mechanism, rounds }], options).epsilon <= epsilon;
  if (isWithin(most)) return most;
  let [low, high] = [0, most];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (isWithin(middle)) low = middle;
    else high = middle;
  }
  return low;
}
