import { definePartitioner } from "../partitioner.ts";
import { checkSizes, sizesOf, sizesShape } from "../sizes.ts";
import { dealBySize } from "./_deal_by_size.ts";

/**
 * Quantity skew: sizes from a list, by a rule (`"equal"`, `"linear"`, `"square"`, `"exponential"`), or in shares drawn from
 * Dirichlet(alpha), the quantity skew of Li et al., "Federated learning on non-IID data silos" (ICDE 2022). Examples
 * are drawn at random; those beyond the sum of a list are left out.
 *
 * @throws {RangeError} if the sizes sum to more than there are examples.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { clients, leftOut } = sizePartitioner({ sizes: [3, 1] }).partition({ numExamples: 6 }, { seed: 1 });
 * assert.deepEqual([...clients, leftOut].map((indices) => indices.length), [3, 1, 2]);
 * ```
 */
export const sizePartitioner = definePartitioner({
  kind: "size",
  summary: "sizes from a list, by a rule, or in shares from Dirichlet(alpha)",
  shape: sizesShape,
  example: { numClients: 10, sizes: { alpha: 0.5, minSize: 8 } },
  check: checkSizes,
  share: ({ numExamples }, options, stream) =>
    dealBySize(numExamples, sizesOf(numExamples, options, stream), stream),
});
