import {
  clone,
  disposeAll,
  matmul,
  NonFiniteError,
  reshape,
  slice,
  type Tensor,
  tidy,
  unrounded,
} from "../../engine/mod.ts";
import type { LowRankFactors } from "../layers/factored/factored_linear.ts";
import { LoraXsLinear } from "../layers/factored/lora_xs_linear.ts";
import {
  type Initialization,
  type InitializationOptions,
  type InitializedFactors,
  layerOf,
  type LayerRest,
} from "./initialization.ts";
import { precisionOf, residualWeight } from "./residual.ts";

/** Options of {@linkcode takenOut}. */
export interface TakenOutOptions {
  /**
   * The factors to take out of some weights of one shape [out, in], in f32 before they were rounded: A₀ [N, r, in] and B₀ [N, out, r], or
   * with R₀ [N, r, r] between them, which alone is trained then. The caller disposes them.
   */
  factor(
    weights: readonly Tensor[],
    options: InitializationOptions,
  ): Promise<LowRankFactors & { readonly loraR?: Tensor }>;
  /**
   * Rows of a weight's longer side that `factor` holds at once, where it reads the weights in place; by default it copies them.
   */
  rowsInPlace?(rank: number): number;
}

/**
 * A start that trains a part of the pretrained weight, B₀ and A₀, and freezes the rest, W − s·B₀·A₀, in the weight's precision. So the
 * output at step 0 is the pretrained one, whatever the part, rank and alpha.
 */
export function takenOut({ factor, rowsInPlace }: TakenOutOptions): Initialization {
  return async (weights, options) => {
    const { names, rank, onProgress } = options;
    const found: InitializedFactors[] = [];
    try {
      for (const some of batchesOf(weights, rowsInPlace?.(rank))) {
        const own = { ...options, names: names.slice(found.length, found.length + some.length) };
        found.push(...await initialize(some, { ...own, factor }));
        onProgress?.(found.length);
      }
      return found;
    } catch (error) {
      for (const each of found) {
        const layer = layerOf(each, { bias: undefined, scaling: options.scaling });
        disposeAll([...layer.namedParameters()].map(([, parameter]) => parameter));
        disposeAll(Object.values<Tensor>({ ...layer.initial }));
      }
      if (!(error instanceof NonFiniteError)) throw error;
      throw new NonFiniteError(`Cannot initialise one of ${names.join(", ")}: ${error.message}`);
    }
  };
}

/**
 * Bytes that are worked on at once: weights that an exact decomposition copies (seven of BERT-base's square ones; an SVD needs some five
 * times as much) or whose f32 values are read again, or the rows of a sketch.
 */
const batchBytes = 2 ** 24;

/** Weights of one shape that are decomposed at once. */
function batchesOf(weights: readonly Tensor[], rows: number | undefined): Tensor[][] {
  const { shape, size } = weights[0]!;
  const isReadInPlace = rows !== undefined && weights.every(({ dtype }) => dtype === "f32");
  const floats = isReadInPlace ? rows * Math.max(...shape) : size;
  const each = Math.max(1, Math.floor(batchBytes / (4 * floats)));
  return Array.from(
    { length: Math.ceil(weights.length / each) },
    (_, i) => weights.slice(i * each, (i + 1) * each),
  );
}

async function initialize(
  weights: readonly Tensor[],
  { factor, ...options }: InitializationOptions & Pick<TakenOutOptions, "factor">,
): Promise<InitializedFactors[]> {
  const { scaling } = options;
  const whole: Tensor[] = [];
  try {
    for (const weight of weights) whole.push(await unrounded(weight));
    const factors = await factor(whole, options);
    try {
      return tidy(() =>
        weights.map((given, i) => {
          const own = { loraA: memberOf(factors.loraA, i), loraB: memberOf(factors.loraB, i) };
          const core = factors.loraR && memberOf(factors.loraR, i);
          // Training overwrites in place what it trains.
          const initial = core
            ? { loraA: matmul(core, own.loraA), loraB: own.loraB.detach() }
            : { loraA: clone(own.loraA), loraB: clone(own.loraB) };
          const weight = residualWeight(whole[i]!, { ...initial, scaling, precision: precisionOf(given) });
          return {
            weight,
            ...own,
            initial,
            // Among what is returned, as it would be freed otherwise.
            ...(core && {
              loraR: core,
              create: (rest: LayerRest) =>
                new LoraXsLinear({ weight, ...own, loraR: core, initial, ...rest }),
            }),
          };
        })
      );
    } finally {
      disposeAll(Object.values<Tensor>({ ...factors }));
    }
  } finally {
    disposeAll(whole);
  }
}

/** A copy of one of a batch. */
function memberOf(batch: Tensor, i: number): Tensor {
  return reshape(slice(batch, { start: i, end: i + 1, copy: true }), batch.shape.slice(1));
}
