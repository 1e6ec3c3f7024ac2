import { drawLora, layerSettings, lora } from "../../../../federa/mod.ts";
import { leadingRank } from "../../../client/start_of_rank.ts";
import type { Method } from "../../../method.ts";
import { type Corrected, correcting, type CorrectingOptions } from "./corrections.ts";
import { lowRankAveraging } from "../averaging/low_rank.ts";
import { globalOptions, type MixedRankOptions, mixedRanks } from "../adapters/mixed_ranks.ts";

/**
 * A method that merges what clients learnt into the frozen weights; each round begins anew from a random A and B = 0, which all draw by the
 * round.
 */
export function restarting(
  given: MixedRankOptions,
  { name, correct }: Pick<CorrectingOptions, "name" | "correct">,
): Method<Corrected> {
  const [ranks, options] = [mixedRanks(given), globalOptions(given)];
  const method = correcting({
    ...options,
    name,
    inner: lowRankAveraging(options, { name, initialization: lora }),
    ...(given.ranks && { plan: (global) => ({ ranks, start: leadingRank(global, ranks) }) }),
    correct,
    renew: (weight, { layer, round, seed }) =>
      drawLora(weight, { rank: layerSettings(layer, options).rank, seed, name: `${layer} ${round}` }),
  });
  return { ...method, coordinates: "renewed", mixesRanks: given.ranks !== undefined };
}
