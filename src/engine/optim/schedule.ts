/** A learning rate for each step: a pure function of the step's index, which counts from 0. */
export type Schedule = (step: number) => number;

/** How {@linkcode linearSchedule} and {@linkcode cosineSchedule} begin and end. */
export interface ScheduleOptions {
  /** Steps in which the rate rises from 0 to its peak; 0 by default. */
  warmupSteps?: number;
  /** The rate from step `totalSteps` on; 0 by default. */
  finalRate?: number;
}

/**
 * The same rate at every step.
 *
 * @throws {RangeError} if the rate is negative or not finite
 */
export function constantSchedule(rate: number): Schedule {
  checkRate("rate", rate);
  return (step) => {
    checkStep(step);
    return rate;
  };
}

/**
 * Rises linearly from 0 to `peakRate` over the warm-up, then falls linearly to `finalRate` at step `totalSteps`, and
 * stays there. As usual in the field, step 0 of a warm-up has rate 0.
 *
 * @throws {RangeError} if a rate is negative or not finite, or the step counts are not integers with
 *   0 ≤ warmupSteps ≤ totalSteps and totalSteps ≥ 1
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const rate = linearSchedule(1, 10, { warmupSteps: 2 });
 * assert.deepEqual([0, 1, 2, 6, 10, 11].map(rate), [0, 0.5, 1, 0.5, 0, 0]);
 * ```
 */
export function linearSchedule(
  peakRate: number,
  totalSteps: number,
  options: ScheduleOptions = {},
): Schedule {
  return decaySchedule(peakRate, totalSteps, options, (progress) => 1 - progress);
}

/**
 * Rises linearly from 0 to `peakRate` over the warm-up, then falls to `finalRate` along half a cosine at step
 * `totalSteps`, and stays there (Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, without restarts).
 *
 * @throws {RangeError} as {@linkcode linearSchedule} does
 */
export function cosineSchedule(
  peakRate: number,
  totalSteps: number,
  options: ScheduleOptions = {},
): Schedule {
  return decaySchedule(peakRate, totalSteps, options, (progress) => (1 + Math.cos(Math.PI * progress)) / 2);
}

/** `decay` maps progress after the warm-up, from 0 to 1, to the share of the peak that is left, from 1 to 0. */
function decaySchedule(
  peakRate: number,
  totalSteps: number,
  { warmupSteps = 0, finalRate = 0 }: ScheduleOptions,
  decay: (progress: number) => number,
): Schedule {
  checkRate("peakRate", peakRate);
  checkRate("finalRate", finalRate);
  if (!Number.isSafeInteger(totalSteps) || totalSteps < 1) {
    throw new RangeError(`Cannot make a schedule: totalSteps must be a positive integer, got ${totalSteps}`);
  }
  if (!Number.isSafeInteger(warmupSteps) || warmupSteps < 0 || warmupSteps > totalSteps) {
    throw new RangeError(
      `Cannot make a schedule: warmupSteps must be an integer from 0 to totalSteps, got ${warmupSteps} and ${totalSteps}`,
    );
  }
  return (step) => {
    checkStep(step);
    if (step < warmupSteps) return peakRate * (step / warmupSteps);
    if (step >= totalSteps) return finalRate;
    const share = decay((step - warmupSteps) / (totalSteps - warmupSteps));
    return finalRate + (peakRate - finalRate) * share;
  };
}

function checkRate(name: string, rate: number): void {
  if (!(rate >= 0 && rate < Infinity)) {
    throw new RangeError(`Cannot make a schedule: ${name} must be finite and not negative, got ${rate}`);
  }
}

function checkStep(step: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new RangeError(`Cannot look up a learning rate: step must be a non-negative integer, got ${step}`);
  }
}
