import { Embedding, Linear, type Module, toHalf } from "../engine/mod.ts";

/**
 * A copy of a model whose linear weights and embedding tables are in half precision, in half the memory; sums stay in
 * f32. It shares every other tensor with the model, whose owner disposes what has been replaced. Such weights can't be
 * trained, only adapted.
 *
 * Every weight moves by at most 2⁻¹¹ of itself (2⁻²⁵ below 2⁻¹⁴), so a product of k terms x·w moves by at most
 * 2⁻¹¹·Σ|x·w| more.
 */
export function halfPrecision<M extends Module>(model: M): M {
  return model.mapModules((_, module) =>
    module instanceof Linear || module instanceof Embedding
      ? module.mapParameters((name, parameter) => name === "weight" ? toHalf(parameter) : parameter)
      : module
  );
}
