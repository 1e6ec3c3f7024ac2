import { addWeighted, concat, mul, permute, reshape, sub, tidy, zeros } from "../../../../engine/mod.ts";
import { layerSettings } from "../../../../federa/mod.ts";
import type { LowRankProduct } from "../../../../engine/linalg/mod.ts";
import type { Uploads } from "../../../aggregation/aggregator.ts";
import type { Method } from "../../../method.ts";
import { take, type Tensors } from "../../../tensors.ts";
import type { AdapterOptions } from "../adapters/adapter_options.ts";
import type { Averaged } from "../averaging/averaging.ts";
import { type Corrected, correcting } from "./corrections.ts";

/**
 * Averaging of factors, made exact (FedEx-LoRA, arXiv 2410.09432): what averaging A and B apart loses,
 * E = s·(Σ p_k·B_k·A_k − B̄·Ā) = s·Σ p_k·(dB_k − dB̄)·dA_k with d counted from the start of the round, is added to the frozen
 * weights. So the global weights change by exactly the average of the clients' changes.
 *
 * @param inner averages the factors.
 */
export function exactAveraging(
  name: string,
  inner: Method<Averaged>,
  options: AdapterOptions,
): Method<Corrected> {
  const method = correcting({
    ...options,
    name,
    inner,
    correct: (layer, global, each) => ({
      merged: tidy(() =>
        correctionOf(layer, global, { each, scaling: layerSettings(layer, options).scaling })
      ),
    }),
  });
  return { ...method, showsChanges: true };
}

/** s·E of one layer as a product of stacks; the clients in their order, however they were grouped. */
function correctionOf(
  layer: string,
  global: Tensors,
  { each, scaling }: { readonly each: readonly Uploads[]; readonly scaling: number },
): LowRankProduct {
  const [loraA, loraB] = [take(global, `${layer}.loraA`), take(global, `${layer}.loraB`)];
  const [out, width] = [loraB.shape[0]!, loraA.shape[1]!];
  const updates = each.map(({ values, weights }) => ({
    dA: sub(take(values, `${layer}.loraA`), loraA),
    dB: sub(take(values, `${layer}.loraB`), loraB),
    weights,
  }));
  const meanB = zeros(loraB.gpu, loraB.shape);
  for (const { dB, weights } of updates) addWeighted(meanB, dB, weights);
  const columns = updates.map(({ dB, weights }) => {
    const weighted = mul(sub(dB, meanB), mul(reshape(weights, [-1, 1, 1]), scaling));
    return reshape(permute(weighted, [1, 0, 2]), [out, -1]);
  });
  return {
    b: concat(columns, { axis: 1 }),
    a: concat(updates.map(({ dA }) => reshape(dA, [-1, width]))),
  };
}
