import type { Tensor } from "../../engine/mod.ts";
import type { FactoredLinear, LowRankFactors } from "../layers/factored/factored_linear.ts";
import { LowRankLinear } from "../layers/factored/low_rank_linear.ts";

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
  /** The part that was taken out of the weight, to give it back on export. */
  readonly initial?: LowRankFactors;
  /** Makes the layer that they are for, with whatever else it has; a {@linkcode LowRankLinear} by default. */
  readonly create?: (rest: LayerRest) => FactoredLinear;
}

/** What a layer has beside what an {@linkcode Initialization} gives it. */
export interface LayerRest {
  /** Frozen bias [out]. */
  readonly bias: Tensor | undefined;
  /** s = alpha / r. */
  readonly scaling: number;
}

/** The layer of what an initialisation gave. */
export function layerOf({ create, ...factors }: InitializedFactors, rest: LayerRest): FactoredLinear {
  return create?.(rest) ?? new LowRankLinear({ ...factors, ...rest });
}

/**
 * Makes the starting factors of pretrained weights, all of one shape [out, in]. What one gets must not depend on the others,
 * to the bit: they come together for speed alone.
 */
export type Initialization = (
  weights: readonly Tensor[],
  options: InitializationOptions,
) => Promise<InitializedFactors[]>;
