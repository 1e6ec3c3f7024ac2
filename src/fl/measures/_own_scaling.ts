import { type Tensor, tensor } from "../../engine/mod.ts";
import type { LowRankLinear } from "../../federa/mod.ts";
import type { Client, Ranks } from "../method.ts";

/**
 * What the updates of clients with ranks of their own count for beside the layer's scale, s_k/s as f32 [C]; undefined where all
 * have the layer's.
 */
export function ownScaling(
  adapter: LowRankLinear,
  ranks: Ranks | undefined,
  clients: readonly Client[],
): Tensor | undefined {
  if (ranks === undefined) return undefined;
  const { weight: { gpu }, sharedScaling } = adapter;
  return tensor(gpu, clients.map(({ id }) => ranks.scaling(id) / sharedScaling));
}
