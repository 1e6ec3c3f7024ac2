import { addWeighted, type Tensor, tensor, tidy, zeros } from "../../../../engine/mod.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import { take } from "../../../tensors.ts";

/**
 * Σ_k w_k·x_k over clients of what they sent by a name, by other weights than their shares.
 *
 * @param weights of the clients, in the groups that they came in.
 */
export function weightedSum(
  each: readonly Uploads[],
  name: string,
  weights: readonly (readonly number[])[],
): Tensor {
  const { gpu, shape } = take(each[0]!.values, name);
  return tidy(() => {
    const sum = zeros(gpu, shape.slice(1));
    for (const [i, { values }] of each.entries()) {
      addWeighted(sum, take(values, name), tensor(gpu, weights[i]!));
    }
    return sum;
  });
}
