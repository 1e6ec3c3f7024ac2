import { mul, reshape, slice, type Tensor } from "../../../../engine/mod.ts";
import { addProducts, type LowRankProduct } from "../../../../engine/linalg/mod.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import type { Ranks } from "../../../method.ts";
import { take } from "../../../tensors.ts";

/** A client's factors of one layer, of its own rank. */
export interface ClientFactors extends LowRankProduct {
  readonly id: number;
  /** p_k. */
  readonly share: number;
}

/** The clients' factors b [out, r_k] and a [r_k, in] of one layer, in their order; the zeros beyond each one's rank are left out. */
export function clientFactors(layer: string, each: readonly Uploads[], ranks: Ranks): ClientFactors[] {
  return each.flatMap(({ clients, shares, values }) => {
    const [a, b] = [take(values, `${layer}.loraA`), take(values, `${layer}.loraB`)];
    return clients.map(({ id }, member) => {
      const end = ranks.of(id);
      return {
        id,
        share: shares[member]!,
        a: slice(memberOf(a, member), { start: 0, end }),
        b: slice(memberOf(b, member), { axis: 1, start: 0, end }),
      };
    });
  });
}

/**
 * Σ p_k·s_k·B_k·A_k of one layer as one product, the clients' factors side by side in their order: b [out, Σ r_k], a [Σ r_k, in].
 */
export function clientProducts(layer: string, each: readonly Uploads[], ranks: Ranks): LowRankProduct {
  return addProducts(
    clientFactors(layer, each, ranks).map(({ id, share, a, b }) => ({
      a,
      b: mul(b, share * ranks.scaling(id)),
    })),
  );
}

function memberOf(x: Tensor, member: number): Tensor {
  return reshape(slice(x, { start: member, end: member + 1 }), x.shape.slice(1));
}
