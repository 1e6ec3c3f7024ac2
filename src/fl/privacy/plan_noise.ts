import type { InitContext } from "../method.ts";
import { type AdaptiveOptions, changeNoise } from "./adaptive_clip.ts";
import { checkBudget, leastNoise } from "./budget.ts";
import { checkDelta, type PrivacyOptions } from "./privacy_options.ts";

/** What noise is planned for. */
export interface NoisePlanOptions extends Pick<PrivacyOptions, "delta" | "epsilon" | "noiseMultiplier"> {
  /** What it is called in messages. */
  readonly name: string;
  readonly kind: "dp-fedavg" | "local-dp";
  readonly adaptive?: AdaptiveOptions | undefined;
}

/** The noise of a run. */
export interface NoisePlan {
  readonly noiseMultiplier: number;
  /** q; 1 where sampling adds no privacy. */
  readonly samplingRate: number;
  /** Clients that a round asks on average; 0 where the fleet doesn't say. */
  readonly cohort: number;
}

/** By how many clip norms any two changes of a client are apart at most: by that local noise counts half. */
export const APART = 2;

/**
 * The noise of a run, checked against its budget before anything is trained.
 *
 * @throws {PrivacyBudgetError} when its rounds would pass the budget.
 * @throws {RangeError} when δ is too large for so many clients, no noise is enough, or it is too much for adaptive clipping.
 * @throws {TypeError} when noise is to be chosen and the number of rounds isn't known.
 */
export function planNoise(
  { name, kind, adaptive, ...options }: NoisePlanOptions,
  context: Pick<InitContext, "numClients" | "rounds" | "sampling">,
): NoisePlan {
  const { epsilon, delta } = options;
  checkDelta(kind, options, context);
  const isLocal = kind === "local-dp";
  const { samplingRate, cohort } = isLocal ? { samplingRate: 1, cohort: 0 } : sampled(context);
  const budget = { name, epsilon, delta, samplingRate };
  const scale = isLocal ? APART : 1;
  const noiseMultiplier = options.noiseMultiplier ?? scale * leastNoise(budget, context);
  checkBudget({ ...budget, noiseMultiplier: noiseMultiplier / scale }, context.rounds ?? 0, { scale });
  if (adaptive !== undefined && cohort > 0) changeNoise(noiseMultiplier, adaptive, cohort);
  return { noiseMultiplier, samplingRate, cohort };
}

/** q and the expected size of a cohort. */
function sampled(
  { numClients, sampling }: Pick<InitContext, "numClients" | "sampling">,
): Pick<NoisePlan, "samplingRate" | "cohort"> {
  switch (sampling?.kind) {
    case "poisson":
      return { samplingRate: sampling.rate, cohort: sampling.rate * numClients };
    case "uniform":
      return { samplingRate: 1, cohort: sampling.clientsPerRound };
    default:
      return { samplingRate: 1, cohort: 0 };
  }
}
