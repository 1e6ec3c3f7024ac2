import { z } from "zod";
import {
  activationField,
  epsilonField,
  fixedFields,
  headsDivideWidth,
  layersField,
  padTokenField,
  parseModelConfig,
  sizeField,
  type TransformerConfig,
} from "../transformer/config.ts";

/** The sizes and constants of a BERT encoder, as in a Hugging Face `config.json`. */
export interface BertConfig extends TransformerConfig {
  /** Number of token types: 2 where the model distinguishes a text's first part from its second. */
  readonly typeVocabSize: number;
}

/** The fields of BERT's `config.json`, which those after it have too. */
export const bertFields = {
  ...fixedFields,
  vocab_size: sizeField,
  hidden_size: sizeField,
  num_hidden_layers: layersField,
  num_attention_heads: sizeField,
  intermediate_size: sizeField,
  hidden_act: activationField.default("gelu"),
  max_position_embeddings: sizeField,
  type_vocab_size: sizeField.default(2),
  layer_norm_eps: epsilonField.default(1e-12),
  pad_token_id: padTokenField.default(0),
};

/** What reading {@linkcode bertFields} gives. */
export type BertFields = z.output<z.ZodObject<typeof bertFields>>;

/** The configuration that fields of BERT's kind say. */
export function bertConfigOf(fields: BertFields): BertConfig {
  return {
    vocabSize: fields.vocab_size,
    hiddenSize: fields.hidden_size,
    numHiddenLayers: fields.num_hidden_layers,
    numAttentionHeads: fields.num_attention_heads,
    intermediateSize: fields.intermediate_size,
    hiddenAct: fields.hidden_act,
    maxPositionEmbeddings: fields.max_position_embeddings,
    typeVocabSize: fields.type_vocab_size,
    layerNormEps: fields.layer_norm_eps,
    padTokenId: fields.pad_token_id ?? 0,
  };
}

const schema = z.object({ model_type: z.literal("bert").default("bert"), ...bertFields })
  .refine(...headsDivideWidth("num_attention_heads", "hidden_size"));

/**
 * Reads a Hugging Face `config.json` of a BERT encoder. Dropout is not among its fields: nothing is dropped here.
 *
 * @param value what the file's JSON holds.
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what this encoder doesn't do.
 * @example
 * ```ts no-run
 * const config = parseBertConfig(JSON.parse(await readFile("config.json", "utf8")));
 * ```
 */
export function parseBertConfig(value: unknown): BertConfig {
  return bertConfigOf(parseModelConfig(value, { schema, title: "BERT" }));
}
