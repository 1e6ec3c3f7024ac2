import { crossedEffects } from "./crossed_effects.ts";
import { type Sample, sampleOf } from "./sample.ts";
import { type Interval, studentInterval } from "./student_t.ts";

/** Differences of the two values of a draw of the data and a seed, one for each pair that has both. */
export interface DrawnDifference {
  readonly draw: number;
  readonly seed: number;
  readonly difference: number;
}

/** The difference between two methods over pairs of runs. */
export interface PairedDifference extends Sample {
  /** Student's paired interval, mean ± t·sd/√n with n − 1 degrees of freedom; null for a single pair. */
  readonly interval: Interval | null;
  /**
   * The interval for draws and seeds that weren't run, see {@linkcode crossedInterval}; null unless several draws were all run with
   * the same several seeds.
   */
  readonly crossed: Interval | null;
}

/** The mean difference over pairs with its intervals; null where there are no pairs. */
export function pairedDifference(pairs: readonly DrawnDifference[]): PairedDifference | null {
  const sample = sampleOf(pairs.map(({ difference }) => difference));
  if (sample === null) return null;
  const { count, mean, sd } = sample;
  const interval = sd === null
    ? null
    : studentInterval(mean, { standardError: sd / Math.sqrt(count), degreesOfFreedom: count - 1 });
  return { ...sample, interval, crossed: crossedInterval(pairs) };
}

/**
 * Returns an interval for the mean difference over all possible draws and seeds. Pairs that share a draw or a seed aren't
 * independent, so Student's paired interval is too narrow where the difference depends on either. In the model
 * d(i, j) = μ + draw(i) + seed(j) + rest(i, j) with D draws and S seeds, the mean has the variance
 *
 * (MS(draw) + MS(seed) − MS(rest))/(D·S),
 *
 * by the mean squares of {@linkcode crossedEffects}. A component whose estimate is negative counts as zero: its mean square and
 * one MS(rest) are left out. Degrees of freedom are Satterthwaite's ("An approximate distribution of estimates of variance
 * components", 1946), but no fewer than the fewest of any mean square that was added.
 *
 * @returns null unless every one of several draws is paired with every one of several seeds.
 */
export function crossedInterval(pairs: readonly DrawnDifference[]): Interval | null {
  const draws = [...new Set(pairs.map(({ draw }) => draw))];
  const seeds = [...new Set(pairs.map(({ seed }) => seed))];
  const isComplete = pairs.length === draws.length * seeds.length;
  if (!isComplete || draws.length < 2 || seeds.length < 2) return null;
  const values = draws.flatMap((draw) =>
    seeds.map((seed) => pairs.find((pair) => pair.draw === draw && pair.seed === seed)!.difference)
  );
  const effects = crossedEffects(values, { draw: draws.length, seed: seeds.length });
  const [ofDraws, ofSeeds, rest] = effects as readonly Mean[] as readonly [Mean, Mean, Mean];
  const { meanSquare, degreesOfFreedom } = combine([ofDraws, ofSeeds], rest);
  const { mean } = sampleOf(values)!;
  return studentInterval(mean, { standardError: Math.sqrt(meanSquare / values.length), degreesOfFreedom });
}

/** A mean square and its degrees of freedom. */
interface Mean {
  readonly meanSquare: number;
  readonly degreesOfFreedom: number;
}

/** D·S times the variance of the mean. */
function combine(effects: readonly Mean[], rest: Mean): Mean {
  // All are equal where a single pair differs from the others; rounding must not decide about the degrees of freedom then.
  const above = effects.filter(({ meanSquare }) => meanSquare > (1 + 1e-9) * rest.meanSquare);
  if (above.length < 2) return above[0] ?? rest;
  const meanSquare = above.reduce((sum, each) => sum + each.meanSquare, -rest.meanSquare);
  const spread = [...above, rest].reduce(
    (sum, each) => sum + each.meanSquare ** 2 / each.degreesOfFreedom,
    0,
  );
  const fewest = Math.min(...above.map(({ degreesOfFreedom }) => degreesOfFreedom));
  return { meanSquare, degreesOfFreedom: Math.max(fewest, meanSquare ** 2 / spread) };
}
