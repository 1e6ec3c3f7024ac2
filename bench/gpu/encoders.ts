import type { BertConfig, HostParameters } from "../../src/models/mod.ts";
import type { LoraProblem } from "../lora/problem.ts";
import type { PeerArray } from "./torch.ts";

/** A configuration under the names that `transformers` gives its fields. */
export function pythonConfig(config: BertConfig): Record<string, number | string> {
  return {
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    num_hidden_layers: config.numHiddenLayers,
    num_attention_heads: config.numAttentionHeads,
    intermediate_size: config.intermediateSize,
    hidden_act: config.hiddenAct,
    max_position_embeddings: config.maxPositionEmbeddings,
    type_vocab_size: config.typeVocabSize,
    layer_norm_eps: config.layerNormEps,
    pad_token_id: config.padTokenId,
  };
}

/** What {@linkcode encoderArrays} lays out. */
export interface EncoderArraysOptions {
  readonly parameters: HostParameters;
  readonly trainable: ReadonlyMap<string, PeerArray>;
  readonly texts: Pick<LoraProblem, "ids" | "mask" | "labels">;
  readonly length: number;
}

/** A frozen encoder, what is trained of it, and texts, as `torch_peer.py` takes them. */
export function encoderArrays(
  { parameters, trainable, texts, length }: EncoderArraysOptions,
): Record<string, PeerArray> {
  const count = texts.labels.length;
  return {
    ...prefixed("base.", parameters as ReadonlyMap<string, PeerArray>),
    ...prefixed("trainable.", trainable),
    ids: { shape: [count, length], data: texts.ids },
    mask: { shape: [count, length], data: texts.mask },
    labels: { shape: [count], data: texts.labels },
  };
}

function prefixed(prefix: string, arrays: ReadonlyMap<string, PeerArray>): Record<string, PeerArray> {
  return Object.fromEntries([...arrays].map(([name, each]) => [`${prefix}${name}`, each]));
}
