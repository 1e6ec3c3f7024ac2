import { z } from "zod";
import { checkClients } from "../check_clients.ts";
import { clientsOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { splitEvenly } from "../split_evenly.ts";

/**
 * Skew of a number that examples have, such as the value to predict: examples are sorted by strictness · z + (1 − strictness) · ε,
 * with z the standardised number and ε a standard normal draw, and cut into equal parts. 0 is IID, 1 gives each client a range of
 * its own. As Flower's `ContinuousPartitioner`; examples of equal score stay in their order.
 *
 * @throws {TypeError} if a number isn't finite.
 * @throws {RangeError} if there are more clients than examples, or all numbers are equal and strictness is above 0.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const input = { numExamples: 4, values: [9, 1, 8, 2] };
 * const { clients } = continuousPartitioner({ numClients: 2, strictness: 1 }).partition(input, { seed: 1 });
 * assert.deepEqual(clients, [[1, 3], [0, 2]]);
 * ```
 */
export const continuousPartitioner = definePartitioner({
  kind: "continuous",
  summary: "ranges of the value to predict, blurred by noise",
  shape: { numClients: clientsOption, strictness: z.number().min(0).max(1) },
  needs: ["values"],
  example: { numClients: 10, strictness: 0.8 },
  share({ numExamples, values }, { numClients, strictness }, stream) {
    checkClients(numExamples, numClients);
    const standard = standardize(Array.from(values), strictness);
    const scores = standard.map((z) => strictness * z + (1 - strictness) * stream.normal());
    const order = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]! || a - b);
    return splitEvenly(order, numClients);
  },
});

function standardize(values: readonly number[], strictness: number): number[] {
  const odd = values.findIndex((value) => !Number.isFinite(value));
  if (odd !== -1) {
    throw new TypeError(
      `Cannot partition (continuous): expected a finite value of each example, got ${
        values[odd]
      } of example ${odd}`,
    );
  }
  if (values.every((value) => value === values[0])) {
    if (strictness === 0) return values.map(() => 0);
    throw new RangeError("Cannot partition (continuous): expected values that differ, got equal ones");
  }
  // Squares of huge values would overflow, those of tiny ones vanish.
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scaled = values.map((value) => value / largest);
  const mean = scaled.reduce((a, b) => a + b) / scaled.length;
  const deviation = Math.sqrt(scaled.reduce((sum, z) => sum + (z - mean) ** 2, 0) / scaled.length);
  return scaled.map((z) => (z - mean) / deviation);
}
