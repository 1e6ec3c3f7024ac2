import { randomKey, RandomStream, sizeOf } from "../../src/engine/mod.ts";
import { type BertConfig, bertFamily, type HostParameters, randomParameters } from "../../src/models/mod.ts";

/** Values with the shape they have. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A step of training, in numbers that every library is given alike. */
export interface LoraProblem {
  readonly config: BertConfig;
  readonly batch: number;
  readonly length: number;
  readonly rank: number;
  /** s = alpha / rank. */
  readonly scaling: number;
  readonly learningRate: number;
  /** The frozen encoder. */
  readonly parameters: HostParameters;
  /**
   * What is trained, by name: A [rank, in] and B [out, rank] of every adapted layer, as in
   * `encoder.layer.0.attention.self.query.loraA`, then `head.output.weight` [2, hidden] and `head.output.bias` [2].
   */
  readonly trainable: ReadonlyMap<string, HostArray>;
  /** Token ids, row-major [batch, length]. */
  readonly ids: Uint32Array;
  /** 1 for a token, 0 for padding: a quarter of the texts is a quarter shorter. */
  readonly mask: Float32Array;
  /** Class 0 or 1 of each text. */
  readonly labels: Int32Array;
}

/** One library's way of doing the step, everything on the device. */
export interface LoraStep {
  /** One step of training on what the last one left, until the device is done. */
  run(): Promise<void>;
  /** The same, and what it found before it moved: the loss, and the gradient of each trained parameter. */
  inspect(): Promise<{ loss: number; gradients: ReadonlyMap<string, Float32Array> }>;
  dispose(): void;
}

/** The layers that carry adapters: Q, K, V and the output of attention. */
const adaptedLayers = ["self.query", "self.key", "self.value", "output.dense"];

/** The sizes of MiniLM-L6-H384. */
export const miniLm: BertConfig = {
  vocabSize: 30522,
  hiddenSize: 384,
  numHiddenLayers: 6,
  numAttentionHeads: 12,
  intermediateSize: 1536,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 512,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
};

/** Random weights, adapters in the midst of training, and random texts. */
export function createProblem(
  config: BertConfig,
  options: { readonly batch: number; readonly length: number; readonly rank: number },
): LoraProblem {
  const { batch, length, rank } = options;
  const { hiddenSize } = config;
  const trainable = new Map<string, HostArray>();
  const draw = (name: string, shape: readonly number[], scale: number) => {
    const stream = new RandomStream(randomKey(0, "lora step", name));
    const data = Float32Array.from({ length: sizeOf(shape) }, () => scale * stream.normal());
    trainable.set(name, { shape, data });
  };
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const layer of adaptedLayers) {
      const name = `encoder.layer.${i}.attention.${layer}`;
      draw(`${name}.loraA`, [rank, hiddenSize], 1 / Math.sqrt(hiddenSize));
      draw(`${name}.loraB`, [hiddenSize, rank], 0.02);
    }
  }
  draw("head.output.weight", [2, hiddenSize], 0.02);
  draw("head.output.bias", [2], 0.02);
  const stream = new RandomStream(randomKey(0, "lora texts", batch, length));
  const shorter = Math.ceil(length * 3 / 4);
  return {
    config,
    batch,
    length,
    rank,
    scaling: 1,
    learningRate: 1e-4,
    parameters: randomParameters(bertFamily.parameterShapes(config), { seed: 0, name: "bert" }),
    trainable,
    ids: Uint32Array.from({ length: batch * length }, () => stream.integer(config.vocabSize)),
    mask: Float32Array.from(
      { length: batch * length },
      (_, i) => Math.floor(i / length) % 4 === 3 && i % length >= shorter ? 0 : 1,
    ),
    labels: Int32Array.from({ length: batch }, (_, i) => i % 2),
  };
}
