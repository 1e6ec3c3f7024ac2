import { mul, reshape, slice, type Tensor } from "../../../engine/mod.ts";
import { addProducts, type LowRankProduct } from "../../../engine/linalg/mod.ts";
import type { Uploads } from "../../aggregation/aggregator.ts";
import type { Ranks } from "../../method.ts";
import { take } from "../../tensors.ts";

/**
 * Σ p_k·s_k·B_k·A_k of one layer as one product, the clients' factors side by side in their order: b [out, Σ r_k], a [Σ r_k, in].
 * Each has its own rank's terms; the zeros beyond are left out.
 */
export function clientProducts(layer: string, each: readonly Uploads[], ranks: Ranks): LowRankProduct {
  return addProducts(each.flatMap(({ clients, shares, values }) => {
    const [a, b] = [take(values, `${layer}.loraA`), take(values, `${layer}.loraB`)];
    return clients.map(({ id }, member) => {
      const rank = ranks.of(id);
      return {
        a: slice(memberOf(a, member), { start: 0, end: rank }),
        b: mul(
          slice(memberOf(b, member), { axis: 1, start: 0, end: rank }),
          shares[member]! * ranks.scaling(id),
        ),
      };
    });
  }));
}

function memberOf(x: Tensor, member: number): Tensor {
  return reshape(slice(x, { start: member, end: member + 1 }), x.shape.slice(1));
}
