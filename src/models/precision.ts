import {
  disposeAll,
  Embedding,
  Linear,
  type Module,
  NonFiniteError,
  type Precision,
  type Tensor,
  toPrecision,
} from "../engine/mod.ts";

/**
 * Rows of a table that is small beside a vocabulary, such as of positions, token types and distances: it stays in f32 where others
 * are in 8 bits.
 */
const smallTable = 1024;

/**
 * The parameters of a model that are stored in a precision other than f32: the weights of its linear layers and its embedding
 * tables; with 8 bits, tables of more than 1,024 rows. Everything else stays in f32.
 */
export function storedParameters(model: Module, precision: Precision): Set<Tensor> {
  const stored = new Set<Tensor>();
  if (precision === "f32") return stored;
  for (const [, module] of model.namedModules()) {
    const isStored = module instanceof Linear ||
      (module instanceof Embedding && (precision !== "int8" || module.weight.shape.at(-2)! > smallTable));
    if (isStored) stored.add(module.weight);
  }
  return stored;
}

/**
 * A copy of a model whose linear weights and embedding tables are in a precision; sums stay in f32. It shares every other tensor
 * with the model, whose owner disposes what has been replaced: {@linkcode disposeReplaced}. Such weights can't be trained, only
 * adapted.
 *
 * In half precision every weight moves by at most 2⁻¹¹ of itself (2⁻²⁵ below 2⁻¹⁴), so a product of k terms x·w moves by at most
 * 2⁻¹¹·Σ|x·w| more. In 8 bits a weight moves by at most half the scale s of its row, which is a 127th of the row's largest
 * magnitude, and a product by at most Σ|x|·s/2 more.
 */
export function inPrecision<M extends Module>(model: M, precision: Precision): M {
  const stored = storedParameters(model, precision);
  return model.mapParameters((_, parameter) =>
    stored.has(parameter) ? toPrecision(parameter, precision) : parameter
  );
}

/**
 * Checks that a weight can be rounded.
 *
 * @throws {NonFiniteError} naming it when it holds NaN or infinity.
 */
export function checkFinite(name: string, data: Float32Array, precision: Precision): void {
  // A plain loop: a callback for each of a hundred million values takes as long as reading them.
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new NonFiniteError(`Cannot store ${name} as ${precision}: its element ${i} is ${data[i]}`);
  }
}

/** Frees the parameters of a model that a changed copy of it doesn't share. */
export function disposeReplaced(model: Module, copy: Module): void {
  const kept = new Set([...copy.namedParameters()].map(([, parameter]) => parameter));
  disposeAll([...model.namedParameters()].flatMap(([, each]) => kept.has(each) ? [] : [each]));
}
