import { scalingOf, type ScalingOptions } from "../layers/scaling.ts";
import { matchesPattern } from "./_glob.ts";
import { matchNames } from "./patterns.ts";

/** The rank and scale of all layers, and of those that have others. */
export interface LayerSettingsOptions extends ScalingOptions {
  /**
   * Ranks of layers that have another than `rank`, by name patterns as for `targets`. The first pattern that matches a layer wins, as in
   * PEFT's `rank_pattern`.
   */
  readonly rankPattern?: Readonly<Record<string, number>> | undefined;
  /** Alphas of layers that have another than `alpha`, as PEFT's `alpha_pattern`. */
  readonly alphaPattern?: Readonly<Record<string, number>> | undefined;
}

/** The rank and scale of one layer. */
export interface LayerSettings {
  readonly rank: number;
  readonly alpha: number;
  /** s. */
  readonly scaling: number;
}

/**
 * The rank and scale of a layer by its name.
 *
 * @example
 * ```ts
 * const options = { rank: 8, alpha: 8, rankPattern: { "**.query": 4 } };
 * layerSettings("encoder.layer.0.attention.self.query", options); // { rank: 4, alpha: 8, scaling: 2 }
 * ```
 */
export function layerSettings(layer: string, options: LayerSettingsOptions): LayerSettings {
  const rank = firstMatch(layer, options.rankPattern) ?? options.rank;
  const alpha = firstMatch(layer, options.alphaPattern) ?? options.alpha;
  return { rank, alpha, scaling: scalingOf({ ...options, rank, alpha }) };
}

/**
 * Checks that each pattern matches one of the adapted layers, and is the first that matches it.
 *
 * @throws {PatternError} naming the pattern that doesn't, and the nearest that would.
 */
export function checkLayerPatterns(
  layers: readonly string[],
  { rankPattern = {}, alphaPattern = {} }: Pick<LayerSettingsOptions, "rankPattern" | "alphaPattern">,
): void {
  for (const [field, patterns] of Object.entries({ rankPattern, alphaPattern })) {
    let left = layers;
    for (const pattern of Object.keys(patterns)) {
      matchNames(layers, [pattern], { action: `set ${field} of`, names: "adapted layer" });
      const matched = left.filter((layer) => matchesPattern(layer, pattern));
      if (matched.length === 0) {
        // Every layer it matches has its value by another, which would pass without a word.
        matchNames(left, [pattern], {
          action: `set ${field} of`,
          names: "adapted layer without an earlier pattern",
        });
      }
      left = left.filter((layer) => !matched.includes(layer));
    }
  }
}

function firstMatch(
  layer: string,
  patterns: Readonly<Record<string, number>> | undefined,
): number | undefined {
  return Object.entries(patterns ?? {}).find(([pattern]) => matchesPattern(layer, pattern))?.[1];
}
