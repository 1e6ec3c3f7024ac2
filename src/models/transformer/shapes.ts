import type { Shape } from "../../engine/mod.ts";
import type { TransformerConfig } from "./config.ts";

/** Collects names and shapes of parameters, in the order of the model. */
export class ShapeList {
  /** What was collected. */
  readonly shapes = new Map<string, Shape>();

  /** A linear layer. */
  linear(name: string, out: number, width: number): this {
    this.shapes.set(`${name}.weight`, [out, width]).set(`${name}.bias`, [out]);
    return this;
  }

  /** A layer normalisation. */
  norm(name: string, width: number): this {
    this.shapes.set(`${name}.weight`, [width]).set(`${name}.bias`, [width]);
    return this;
  }

  /** A table of embeddings. */
  table(name: string, rows: number, width: number): this {
    this.shapes.set(`${name}.weight`, [rows, width]);
    return this;
  }
}

/** Options of {@linkcode addBertEmbeddings}. */
export interface BertEmbeddingsOptions {
  /** Kinds of tokens; no table of them where it's 0. */
  readonly typeVocabSize: number;
  /** Width of the tables. */
  readonly width: number;
}

/** Adds the embeddings of words, positions and, where there are any, token types, and their normalisation. */
export function addBertEmbeddings(
  list: ShapeList,
  config: TransformerConfig,
  { typeVocabSize, width }: BertEmbeddingsOptions,
): void {
  list.table("embeddings.word_embeddings", config.vocabSize, width);
  list.table("embeddings.position_embeddings", config.maxPositionEmbeddings, width);
  if (typeVocabSize > 0) list.table("embeddings.token_type_embeddings", typeVocabSize, width);
  list.norm("embeddings.LayerNorm", width);
}

/** Adds the layers `encoder.layer.0`, `encoder.layer.1` … as BERT has them. */
export function addBertLayers(list: ShapeList, config: TransformerConfig): void {
  const { hiddenSize, intermediateSize, numHiddenLayers } = config;
  for (let i = 0; i < numHiddenLayers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const each of ["query", "key", "value"]) {
      list.linear(`${layer}.attention.self.${each}`, hiddenSize, hiddenSize);
    }
    list.linear(`${layer}.attention.output.dense`, hiddenSize, hiddenSize)
      .norm(`${layer}.attention.output.LayerNorm`, hiddenSize)
      .linear(`${layer}.intermediate.dense`, intermediateSize, hiddenSize)
      .linear(`${layer}.output.dense`, hiddenSize, intermediateSize)
      .norm(`${layer}.output.LayerNorm`, hiddenSize);
  }
}
