import { z } from "zod";
import { type BertConfig, bertConfigOf, bertFields } from "../bert/config.ts";
import { headsDivideWidth, parseModelConfig, sizeField } from "../transformer/config.ts";

/** The sizes and constants of an ELECTRA encoder, as in a Hugging Face `config.json`. */
export interface ElectraConfig extends BertConfig {
  /** Width of the embeddings, which a linear layer widens where it isn't the hidden size. */
  readonly embeddingSize: number;
}

const schema = z.object({
  model_type: z.literal("electra").default("electra"),
  ...bertFields,
  embedding_size: sizeField,
}).refine(...headsDivideWidth("num_attention_heads", "hidden_size"));

/**
 * Reads a Hugging Face `config.json` of an ELECTRA encoder.
 *
 * @param value what the file's JSON holds.
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what this encoder doesn't do.
 */
export function parseElectraConfig(value: unknown): ElectraConfig {
  const fields = parseModelConfig(value, { schema, title: "ELECTRA" });
  return { ...bertConfigOf(fields), embeddingSize: fields.embedding_size };
}
