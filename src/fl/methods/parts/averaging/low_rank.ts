import type { Initialization } from "../../../../federa/mod.ts";
import { isHead, type Method } from "../../../method.ts";
import { adaptEncoder, type AdapterOptions, checkEncoderAdapters } from "../adapters/adapter_options.ts";
import { type Averaged, averaging, type AveragingOptions } from "./averaging.ts";

/** Options of {@linkcode lowRankAveraging}. */
export interface LowRankAveragingOptions extends Pick<AveragingOptions, "name" | "isTrainedIn" | "isShared"> {
  /** Where the adapters start. */
  readonly initialization: Initialization;
  /** The factors that are trained; A and B by default. */
  readonly factors?: readonly string[];
}

/** Federated averaging of the factors of low-rank adapters, each on its own, of DoRA's lengths of rows, and of the task's head. */
export function lowRankAveraging(
  options: AdapterOptions,
  { initialization, factors = ["loraA", "loraB"], ...rest }: LowRankAveragingOptions,
): Method<Averaged> {
  const trained = options.dora ? [...factors, "magnitude"] : factors;
  return averaging({
    ...rest,
    check: (pretrained) => checkEncoderAdapters(pretrained, options),
    start: (pretrained, context) => adaptEncoder(pretrained, { ...options, context, initialization }),
    isTrained: (name) => isHead(name) || trained.some((part) => name.endsWith(`.${part}`)),
  });
}
