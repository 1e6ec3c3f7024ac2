import { z } from "zod";
import { ModelConfigError } from "../errors.ts";

/** The sizes and constants of a BERT encoder, as in a Hugging Face `config.json`. */
export interface BertConfig {
  /** Rows of the table of word embeddings. */
  readonly vocabSize: number;
  /** Width of token states; a multiple of the number of heads. */
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  /** `gelu` is the exact form by the error function, `gelu_new` the one by tanh. */
  readonly hiddenAct: "gelu" | "gelu_new" | "relu";
  /** The most tokens a text may have. */
  readonly maxPositionEmbeddings: number;
  /** Kinds of tokens: 2 where the model tells a text's first part from its second. */
  readonly typeVocabSize: number;
  /** Added to the variance in each layer normalisation. */
  readonly layerNormEps: number;
  /** The id that padding has; what is padded never counts, whatever its id. */
  readonly padTokenId: number;
}

const size = z.int().positive();

/** Fields of other models or of pretraining are passed over, but what would change the numbers has to be as it is here. */
const schema = z.object({
  model_type: z.literal("bert").default("bert"),
  position_embedding_type: z.literal("absolute").default("absolute"),
  is_decoder: z.literal(false).default(false),
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  intermediate_size: size,
  hidden_act: z.enum(["gelu", "gelu_new", "relu"]).default("gelu"),
  max_position_embeddings: size,
  type_vocab_size: size.default(2),
  layer_norm_eps: z.number().positive().default(1e-12),
  pad_token_id: z.int().nonnegative().nullable().default(0),
}).refine(({ hidden_size, num_attention_heads }) => hidden_size % num_attention_heads === 0, {
  path: ["num_attention_heads"],
  message: "must divide hidden_size",
});

/**
 * Reads a Hugging Face `config.json` of a BERT encoder. Dropout is not among its fields: nothing is dropped here.
 *
 * @param value what the file's JSON holds.
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what this encoder doesn't do.
 * @example
 * ```ts
 * const config = parseBertConfig(JSON.parse(await readFile("config.json", "utf8")));
 * ```
 */
export function parseBertConfig(value: unknown): BertConfig {
  const { success, data, error } = schema.safeParse(value);
  if (!success) {
    const problems = error.issues.map(({ path, message }) => `  ${path.join(".") || "it"}: ${message}`);
    throw new ModelConfigError(`Cannot build a BERT encoder from its configuration:\n${problems.join("\n")}`);
  }
  return {
    vocabSize: data.vocab_size,
    hiddenSize: data.hidden_size,
    numHiddenLayers: data.num_hidden_layers,
    numAttentionHeads: data.num_attention_heads,
    intermediateSize: data.intermediate_size,
    hiddenAct: data.hidden_act,
    maxPositionEmbeddings: data.max_position_embeddings,
    typeVocabSize: data.type_vocab_size,
    layerNormEps: data.layer_norm_eps,
    padTokenId: data.pad_token_id ?? 0,
  };
}
