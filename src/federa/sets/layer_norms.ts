import { LayerNorm, type Module } from "../../engine/mod.ts";
import { parametersWithin } from "./parameters_within.ts";

/**
 * Names of the scales and shifts of a model's layer normalisations, in model order: what LN-Tune trains (Basu et al., arXiv 2304.01917).
 *
 * @example
 * ```ts no-run
 * const names = layerNormParameters(model); // encoder.embeddings.LayerNorm.weight, encoder.embeddings.LayerNorm.bias, …
 * ```
 */
export function layerNormParameters(model: Module): Set<string> {
  return parametersWithin(model, LayerNorm);
}
