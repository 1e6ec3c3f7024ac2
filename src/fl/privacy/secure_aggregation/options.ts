import { z } from "zod";
import { checkRange, defaultQuantization, MODULUS } from "./quantize.ts";
import { checkNeighbors, defaultThreshold, lowestThreshold } from "./neighbors.ts";

const probability = z.number().min(0).max(1);

/** Options of secure aggregation in a simulation, with their ranges and defaults. */
export const secureAggregationSchema = z.strictObject({
  /**
   * Shares that give a client's secrets back: how many, or below 1 what part of them. More keep secrets from more clients that work with the server, fewer
   * bear more losses. By default more than two thirds; never half of them or less.
   */
  threshold: z.union(
    [z.number().gt(0.5).lt(1), z.int().min(2)],
    "expected a part above 0.5, or a whole number from 2",
  )
    .optional(),
  /** Clients that each one masks with and gives shares to, an even number (SecAgg+); all others by default (SecAgg). */
  neighbors: z.int().min(2).multipleOf(2, "expected an even number").optional(),
  /** c: what a client adds to the sum, its change times its weight over the largest, is cut off at −c and c, and counted. */
  clippingRange: z.number().gt(0).max(1e6).default(defaultQuantization.clippingRange),
  /** Q: steps from −c to c, an even number, so that 0 is one of them. */
  quantizationRange: z.int().min(2).max(MODULUS / 2).multipleOf(2, "expected an even number").default(
    defaultQuantization.quantizationRange,
  ),
  /** With which probability a client is lost before each of its messages; none is by default. */
  dropouts: z.strictObject({
    keys: probability.optional(),
    shares: probability.optional(),
    vector: probability.optional(),
    unmasking: probability.optional(),
  }).optional(),
});

/** Options of secure aggregation, checked. */
export type SecureAggregationOptions = z.output<typeof secureAggregationSchema>;
/** Options of secure aggregation as people write them. */
export type SecureAggregationInput = z.input<typeof secureAggregationSchema>;

/**
 * Shares that give a secret back, of so many.
 *
 * @throws {RangeError} when there are no such shares, or too few to be safe.
 */
export function thresholdOf(
  shares: number,
  { threshold = defaultThreshold(shares) }: Pick<SecureAggregationOptions, "threshold">,
): number {
  const count = threshold < 1 ? Math.ceil(threshold * shares) : threshold;
  const lowest = lowestThreshold(shares);
  if (count >= lowest && count <= shares) return count;
  throw new RangeError(
    `Cannot aggregate securely with threshold ${threshold}: each client's secrets have ${shares} shares, of which ` +
      `more than half must be needed; expected from ${lowest} to ${shares}`,
  );
}

/** Fewest clients whose sum hides something from each of them. */
const fewest = 3;

/** Clients that get shares, and how many of them can lift a secret from these. */
export interface Sharing {
  readonly shares: number;
  readonly threshold: number;
}

/**
 * How a round of so many clients goes.
 *
 * @throws {RangeError} when they are too few or too many, or don't fit the threshold.
 */
export function sharingOf(cohort: number, options: SecureAggregationOptions): Sharing {
  const { neighbors = Infinity } = options;
  if (cohort < fewest) {
    throw new RangeError(
      `Cannot aggregate ${cohort} clients securely: the sum of fewer than ${fewest} tells each what the other sent; ask more each round`,
    );
  }
  const shares = Math.min(cohort, neighbors + 1);
  if (shares > 255) {
    throw new RangeError(
      `Cannot aggregate ${cohort} clients securely where all mask with all: a secret has at most 255 shares; set neighbors ` +
        "to an even number, see chooseNeighbors()",
    );
  }
  if (neighbors !== Infinity) checkNeighbors(neighbors);
  checkRange(cohort, options);
  return { shares, threshold: thresholdOf(shares, options) };
}
