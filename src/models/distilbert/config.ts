import { z } from "zod";
import {
  activationField,
  foreignFields,
  headsDivideWidth,
  layersField,
  padTokenField,
  parseModelConfig,
  sizeField,
  type TransformerConfig,
} from "../transformer/config.ts";

/** The sizes and constants of a DistilBERT encoder, under the names that other families have for them. */
export type DistilBertConfig = TransformerConfig;

/** DistilBERT's `config.json` doesn't say it. */
const epsilon = 1e-12;

const schema = z.object({
  ...foreignFields,
  model_type: z.literal("distilbert").default("distilbert"),
  vocab_size: sizeField,
  dim: sizeField,
  n_layers: layersField,
  n_heads: sizeField,
  hidden_dim: sizeField,
  activation: activationField.default("gelu"),
  max_position_embeddings: sizeField,
  pad_token_id: padTokenField.default(0),
}).refine(...headsDivideWidth("n_heads", "dim"));

/**
 * Reads a Hugging Face `config.json` of a DistilBERT encoder. Position embeddings come from the checkpoint, whether they were
 * trained or are sines (`sinusoidal_pos_embds`).
 *
 * @param value what the file's JSON holds.
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what this encoder doesn't do.
 */
export function parseDistilBertConfig(value: unknown): DistilBertConfig {
  const fields = parseModelConfig(value, { schema, title: "DistilBERT" });
  return {
    vocabSize: fields.vocab_size,
    hiddenSize: fields.dim,
    numHiddenLayers: fields.n_layers,
    numAttentionHeads: fields.n_heads,
    intermediateSize: fields.hidden_dim,
    hiddenAct: fields.activation,
    maxPositionEmbeddings: fields.max_position_embeddings,
    layerNormEps: epsilon,
    padTokenId: fields.pad_token_id ?? 0,
  };
}
