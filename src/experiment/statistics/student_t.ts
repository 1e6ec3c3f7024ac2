import jstat from "jstat";

/** The share of intervals that contain the true value. */
export const CONFIDENCE = 0.95;

/** A confidence interval at {@linkcode CONFIDENCE}. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Degrees of freedom of Student's t, not always an integer. */
  readonly degreesOfFreedom: number;
}

/**
 * The interval mean ± t·standardError, where t is the quantile of Student's t at (1 + {@linkcode CONFIDENCE})/2.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // t at 0.975 with 2 degrees of freedom is 4.3027.
 * assert.equal(studentInterval(1, { standardError: 0.1, degreesOfFreedom: 2 }).high.toFixed(4), "1.4303");
 * ```
 */
export function studentInterval(
  mean: number,
  { standardError, degreesOfFreedom }: { readonly standardError: number; readonly degreesOfFreedom: number },
): Interval {
  const radius = standardError * jstat.jStat.studentt.inv((1 + CONFIDENCE) / 2, degreesOfFreedom);
  return { low: mean - radius, high: mean + radius, degreesOfFreedom };
}
