import type { BertConfig } from "../src/models/mod.ts";

/** A client that trains LoRA on the attention of a BERT. */
export interface TrainedClient {
  readonly config: Pick<
    BertConfig,
    "hiddenSize" | "intermediateSize" | "numHiddenLayers" | "numAttentionHeads"
  >;
  readonly batchSize: number;
  /** Tokens a text. */
  readonly length: number;
  readonly rank: number;
  readonly numClasses: number;
}

/** Bytes that a client needs: of what it trains values, gradients and AdamW's two moments, and its activations. */
export function clientBytes(client: TrainedClient): number {
  return 4 * (4 * trainedValues(client) + activations(client));
}

/** A and B on queries, keys, values and attention output of each layer, and the head. */
function trainedValues({ config, rank, numClasses }: TrainedClient): number {
  const { hiddenSize, numHiddenLayers } = config;
  return numHiddenLayers * 4 * 2 * rank * hiddenSize + numClasses * (hiddenSize + 1);
}

/**
 * Numbers that gradients read, for the n tokens of a batch. A layer keeps its input, queries, keys, values, what attention gives, and
 * the inputs of both normalisations (7·D a token), the derivatives of the activations (F), A·x of four layers (4·r), four numbers for
 * each head's softmax and two for each normalisation. At the peak there are also the gradients of one layer's inner states (F), and
 * of its input and output (2·D).
 */
function activations({ config, batchSize, length, rank }: TrainedClient): number {
  const { hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads } = config;
  const perLayer = 7 * hiddenSize + intermediateSize + 4 * rank + 4 * numAttentionHeads + 2 * 2;
  return batchSize * length * (numHiddenLayers * perLayer + intermediateSize + 2 * hiddenSize);
}
