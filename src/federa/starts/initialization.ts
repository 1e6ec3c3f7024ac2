import type { Tensor } from "../../engine/mod.ts";
import type { LowRankFactors } from "../layers/low_rank_linear.ts";

/** What an {@linkcode Initialization} is given of some linear layers. */
export interface InitializationOptions {
  /** Rank r of the factors, 1 to min(out, in). */
  readonly rank: number;
  /** s = alpha / r. */
  readonly scaling: number;
  /** Seed of the run. */
  readonly seed: number;
  /** Dotted name of each layer, so that each draws its own numbers. */
  readonly names: readonly string[];
  /** Called with the number of layers done, by an initialisation that takes a few at a time. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** The factors to start from, and the weight that is frozen beside them. */
export interface InitializedFactors extends LowRankFactors {
  /** The pretrained weight itself, or what is left of it. */
  readonly weight: Tensor;
  /** R [r, r] between factors that are both frozen, s·B·R·A; without it, A and B are trained. */
  readonly loraR?: Tensor;
  /** The part that was taken out of the weight, to give it back on export. */
  readonly initial?: LowRankFactors;
}

/**
 * Makes the starting factors of pretrained weights, all of one shape [out, in]. What one gets must not depend on the others,
 * to the bit: they come together for speed alone.
 */
export type Initialization = (
  weights: readonly Tensor[],
  options: InitializationOptions,
) => Promise<InitializedFactors[]>;
