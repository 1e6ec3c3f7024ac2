import { type Gpu, tensor } from "../../src/engine/mod.ts";
import {
  type BertConfig,
  bertFamily,
  type HostParameters,
  type ParameterShapes,
  type TokenTensors,
} from "../../src/models/mod.ts";
import { F64Array } from "../reference/array.ts";
import type { BertReferenceText } from "../reference/bert.ts";
import { Random } from "./random.ts";

/** A BERT of a few dimensions, none of them alike. */
export function tinyBertConfig(options: Partial<BertConfig> = {}): BertConfig {
  return {
    vocabSize: 23,
    hiddenSize: 12,
    numHiddenLayers: 2,
    numAttentionHeads: 3,
    intermediateSize: 19,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 16,
    typeVocabSize: 2,
    layerNormEps: 1e-12,
    padTokenId: 0,
    ...options,
  };
}

/**
 * Parameters of order 1 that use every term: no bias is 0 and no normalisation is the identity. Matrices are scaled so that
 * they keep a vector's length.
 */
export function drawParameters(shapes: ParameterShapes, options: { readonly seed: number }): HostParameters {
  const random = new Random(options.seed);
  return new Map(
    [...shapes].map(([name, shape]) => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      const isMatrix = shape.length > 1 && !name.startsWith("embeddings.");
      const scale = isMatrix ? 1 / Math.sqrt(shape[1]!) : shape.length === 2 ? 1 : 0.2;
      const middle = /(LayerNorm|layer_norm)\.weight$/.test(name) ? 1 : 0;
      return [name, {
        shape,
        data: Float32Array.from({ length: size }, () => middle + scale * random.normal()),
      }];
    }),
  );
}

/** {@link drawParameters} of a BERT. */
export function drawBertParameters(
  config: BertConfig,
  options: { readonly seed: number; readonly pooler?: boolean },
): HostParameters {
  return drawParameters(bertFamily.parameterShapes(config, { pooler: options.pooler ?? false }), options);
}

/** Parameters in float64. */
export function referenceParameters(parameters: HostParameters): Map<string, F64Array> {
  return new Map([...parameters].map(([name, { shape, data }]) => [name, F64Array.from(shape, data)]));
}

/** Texts of random tokens and types, one for each length. */
export function drawTexts(
  config: Pick<BertConfig, "vocabSize" | "typeVocabSize">,
  lengths: readonly number[],
  seed: number,
): Required<BertReferenceText>[] {
  const random = new Random(seed);
  const draw = (length: number, bound: number) => Array.from({ length }, () => random.integer(bound));
  return lengths.map((length) => ({
    ids: draw(length, config.vocabSize),
    types: draw(length, config.typeVocabSize),
  }));
}

/** A padded batch of texts on the GPU; padding holds ids and types that would show if they counted. */
export function uploadTexts(
  gpu: Gpu,
  texts: readonly BertReferenceText[],
  options: { readonly padTo?: number; readonly padId?: number; readonly leading?: readonly number[] } = {},
): TokenTensors {
  const longest = Math.max(...texts.map(({ ids }) => ids.length));
  const { padTo = longest, padId = 1, leading = [texts.length] } = options;
  const shape = [...leading, padTo];
  const fill = (pick: (text: BertReferenceText, t: number) => number) =>
    texts.flatMap((text) => Array.from({ length: padTo }, (_, t) => pick(text, t)));
  const ids = fill(({ ids }, t) => ids[t] ?? padId);
  const attentionMask = fill(({ ids }, t) => t < ids.length ? 1 : 0);
  const types = fill(({ types }, t) => types?.[t] ?? 0);
  return {
    inputIds: tensor(gpu, Uint32Array.from(ids), { shape }),
    attentionMask: tensor(gpu, attentionMask, { shape }),
    ...(texts.some(({ types }) => types) &&
      { tokenTypeIds: tensor(gpu, Uint32Array.from(types), { shape }) }),
  };
}
