import type { DebertaV2Config } from "./config.ts";

/** What rows of distances depend on. */
export type DistanceConfig = Pick<DebertaV2Config, "maxRelativePositions" | "positionBuckets">;

/** Half the rows of the table of distances, of which one half is for queries before a key. */
export function distanceSpan({ maxRelativePositions, positionBuckets }: DistanceConfig): number {
  return positionBuckets ?? maxRelativePositions;
}

/** The row of the table of distances for each distance query − key from −(tokens − 1) to tokens − 1. */
export function distanceRows(config: DistanceConfig, tokens: number): Uint32Array {
  const { positionBuckets: buckets, maxRelativePositions: furthest } = config;
  const span = distanceSpan(config);
  return Uint32Array.from({ length: 2 * tokens - 1 }, (_, i) => {
    const distance = i - (tokens - 1);
    const bucket = buckets === undefined ? distance : logBucket(distance, { buckets, furthest });
    return Math.min(Math.max(bucket + span, 0), 2 * span - 1);
  });
}

/** Options of {@linkcode logBucket}. */
export interface LogBucketOptions {
  /** Buckets to either side; the nearer half of them hold one distance each. */
  readonly buckets: number;
  /** One more than the distance that the last bucket ends at. */
  readonly furthest: number;
}

/**
 * The bucket of a distance, with its sign: the distance itself up to half of the buckets, then ⌈log(distance / half) /
 * log((furthest − 1) / half) · (half − 1)⌉ + half (He et al., "DeBERTaV3", arXiv 2111.09543). Every step rounds to float32 as
 * in the code that the checkpoints were trained by: where the logarithms' quotient is whole, a rounding decides.
 */
export function logBucket(distance: number, { buckets, furthest }: LogBucketOptions): number {
  const half = Math.floor(buckets / 2);
  const far = Math.abs(distance);
  if (far <= half) return distance;
  const log = (x: number) => Math.fround(Math.log(Math.fround(x)));
  const share = Math.fround(log(far / half) / log((furthest - 1) / half));
  return Math.sign(distance) * (Math.ceil(Math.fround(share * (half - 1))) + half);
}
