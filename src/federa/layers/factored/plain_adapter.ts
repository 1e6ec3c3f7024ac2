import { disposeAll, type Module, type Tensor, tidy } from "../../../engine/mod.ts";
import { FactoredLinear } from "./factored_linear.ts";
import { LowRankLinear } from "./low_rank_linear.ts";

/**
 * A layer of low rank as plain LoRA: A and B multiplied out of what they are made of, beside the same frozen weight. Both compute the
 * same outputs to the bit. The caller disposes the factors that the layer doesn't have itself.
 */
export function plainAdapter(layer: FactoredLinear): LowRankLinear {
  if (layer instanceof LowRankLinear) return layer;
  const { weight, bias, initial, scaling } = layer;
  return new LowRankLinear({ weight, bias, initial, scaling, ...tidy(() => layer.factors()) });
}

/**
 * Gives a model whose layers of low rank are plain LoRA to `use`, and frees what that needed beyond the model.
 *
 * @throws what `use` throws.
 */
export async function withPlainAdapters<M extends Module, T>(
  model: M,
  use: (plain: M) => Promise<T>,
): Promise<T> {
  const made: Tensor[] = [];
  const plain = model.mapModules((_, module) => {
    if (!(module instanceof FactoredLinear)) return module;
    const found = plainAdapter(module);
    const own = new Set(Object.values(module));
    made.push(...[found.loraA, found.loraB].filter((factor) => !own.has(factor)));
    return found;
  });
  try {
    return await use(plain);
  } finally {
    disposeAll(made);
  }
}
