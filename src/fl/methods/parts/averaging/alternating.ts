import type { Method } from "../../../method.ts";
import type { AdapterOptions } from "../adapters/adapter_options.ts";
import type { Averaged } from "./averaging.ts";
import { lowRankAveraging, type LowRankAveragingOptions } from "./low_rank.ts";

/**
 * Averaging of one factor beside the other, which stays: odd rounds train B, even ones A. Either average is exact, as
 * Σ p_k·B_k·A = (Σ p_k·B_k)·A.
 */
export function alternating(
  options: AdapterOptions,
  { name, initialization }: Pick<LowRankAveragingOptions, "name" | "initialization">,
): Method<Averaged> {
  return {
    ...lowRankAveraging(options, {
      name,
      initialization,
      isTrainedIn: (parameter, round) => !parameter.endsWith(round % 2 === 1 ? ".loraA" : ".loraB"),
    }),
    unsoundWith: {
      asynchrony:
        "rounds train A and B in turn, and a late update is of a factor beside another that has moved since: take ffa-lora",
    },
  };
}
