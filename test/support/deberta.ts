import { type DebertaV2Config, debertaV2Family, type HostParameters } from "../../src/models/mod.ts";
import { Random } from "./random.ts";

/** A DeBERTa of a few dimensions, none of them alike, shaped as v3: distances beyond 3 share 3 buckets up to 13. */
export function tinyDebertaConfig(options: Partial<DebertaV2Config> = {}): DebertaV2Config {
  return {
    vocabSize: 23,
    hiddenSize: 12,
    numHiddenLayers: 2,
    numAttentionHeads: 3,
    intermediateSize: 19,
    hiddenAct: "gelu",
    maxPositionEmbeddings: 24,
    layerNormEps: 1e-7,
    padTokenId: 0,
    typeVocabSize: 0,
    positionBiasedInput: false,
    posAttType: ["p2c", "c2p"],
    shareAttKey: true,
    maxRelativePositions: 14,
    positionBuckets: 6,
    normRelEbd: true,
    convolution: undefined,
    poolerHiddenAct: "gelu",
    ...options,
  };
}

/** Parameters of order 1 that use every term, scaled so that matrices keep a vector's length. */
export function drawDebertaParameters(config: DebertaV2Config, seed: number): HostParameters {
  const random = new Random(seed);
  return new Map(
    [...debertaV2Family.parameterShapes(config)].map(([name, shape]) => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      const isTable = name.includes("embeddings.weight");
      const scale = shape.length === 1 ? 0.2 : isTable ? 1 : 1 / Math.sqrt(size / shape[0]!);
      const middle = name.endsWith("LayerNorm.weight") ? 1 : 0;
      return [name, {
        shape,
        data: Float32Array.from({ length: size }, () => middle + scale * random.normal()),
      }];
    }),
  );
}
