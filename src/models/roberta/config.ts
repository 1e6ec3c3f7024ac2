import { z } from "zod";
import { type BertConfig, bertConfigOf, bertFields } from "../bert/config.ts";
import { headsDivideWidth, parseModelConfig } from "../transformer/config.ts";

/**
 * The sizes and constants of a RoBERTa encoder, as in a Hugging Face `config.json`. Its positions begin after the id of
 * padding, so a text may have `maxPositionEmbeddings - padTokenId - 1` tokens.
 */
export type RobertaConfig = BertConfig;

/** The families that are RoBERTa under names of their own: what `model_type` says, and what messages call them. */
export type RobertaType = "roberta" | "xlm-roberta";

/** Names of the families, for messages. */
export const robertaTitles: Readonly<Record<RobertaType, string>> = {
  roberta: "RoBERTa",
  "xlm-roberta": "XLM-RoBERTa",
};

function schemaOf(modelType: RobertaType) {
  return z.object({
    model_type: z.literal(modelType).default(modelType),
    ...bertFields,
    pad_token_id: z.int().nonnegative().default(1),
  })
    .refine(...headsDivideWidth("num_attention_heads", "hidden_size"))
    .refine(({ max_position_embeddings, pad_token_id }) => max_position_embeddings > pad_token_id + 1, {
      path: ["max_position_embeddings"],
      message: "must exceed pad_token_id + 1",
    });
}

/**
 * Reads a Hugging Face `config.json` of a RoBERTa encoder, or of XLM-RoBERTa.
 *
 * @param value what the file's JSON holds.
 * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what this encoder doesn't do.
 */
export function parseRobertaConfig(
  value: unknown,
  options: { readonly modelType?: RobertaType } = {},
): RobertaConfig {
  const { modelType = "roberta" } = options;
  const fields = parseModelConfig(value, { schema: schemaOf(modelType), title: robertaTitles[modelType] });
  return bertConfigOf(fields);
}
