import { z } from "zod";

/** Options of a clip norm that follows the changes (Andrew et al., arXiv 1905.03871). */
export const adaptiveOptions = z.strictObject({
  /** γ: the share of clients whose change is to be within the norm. */
  quantile: z.number().gt(0).lt(1).default(0.5),
  /** η: how fast the norm follows. */
  learningRate: z.number().gt(0).max(10).default(0.2),
  /** σ_b: the standard deviation of the noise on the count of those within; by default a twentieth of the cohort. */
  countNoise: z.number().gt(0).max(1e9).optional(),
});

/** Checked {@linkcode adaptiveOptions}. */
export type AdaptiveOptions = z.output<typeof adaptiveOptions>;

/** σ_b for cohorts of an expected size. */
export function countNoiseOf({ countNoise }: AdaptiveOptions, cohort: number): number {
  return countNoise ?? cohort / 20;
}

/**
 * z_Δ = (z⁻² − (2σ_b)⁻²)^(−1/2): the noise multiplier of the changes beside which the count, where a client makes a difference of ½,
 * costs no more than z does alone.
 *
 * @throws {RangeError} when the count alone costs more: z must be below 2σ_b.
 */
export function changeNoise(noiseMultiplier: number, options: AdaptiveOptions, cohort: number): number {
  const countNoise = countNoiseOf(options, cohort);
  const rest = noiseMultiplier ** -2 - (2 * countNoise) ** -2;
  if (rest > 0) return rest ** -0.5;
  throw new RangeError(
    `Cannot adapt the clip norm with noise multiplier ${noiseMultiplier}: expected less than 2·countNoise = ${
      2 * countNoise
    }, as the count of clients within the norm would cost more; raise adaptive.countNoise (a twentieth of the cohort of ${cohort} by default)`,
  );
}

/** C ← C·exp(−η·(b̄ − γ)), with b̄ the share of clients whose change was within C. */
export function nextClipNorm(
  clipNorm: number,
  share: number,
  { quantile, learningRate }: AdaptiveOptions,
): number {
  return clipNorm * Math.exp(-learningRate * (share - quantile));
}
