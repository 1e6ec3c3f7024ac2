/**
 * Pretrained encoders, tokenizers and weight files.
 *
 * @module
 */
export * from "./bert/mod.ts";
export * from "./deberta/mod.ts";
export * from "./distilbert/mod.ts";
export * from "./electra/mod.ts";
export * from "./backbone.ts";
export * from "./encoder_config.ts";
export * from "./errors.ts";
export * from "./families.ts";
export * from "./family.ts";
export * from "./precision.ts";
export * from "./inputs.ts";
export * from "./load_encoder.ts";
export * from "./open_pretrained.ts";
export * from "./parameters.ts";
export * from "./points/mod.ts";
export * from "./pooling.ts";
export * from "./roberta/mod.ts";
export * from "./sentence_pooling.ts";
export * from "./tokenizer/errors.ts";
export * from "./tokenizer/hf_tokenizer.ts";
export * from "./tokenizer/load_tokenizer.ts";
export type {
  EncodeBatchOptions,
  EncodeOptions,
  EncodePairOptions,
  PairWindow,
  TextToken,
  TextTokens,
  TokenSpan,
  WordTokens,
} from "./tokenizer/tokenizer.ts";
export * from "./texts.ts";
export * from "./transformer/mod.ts";
export * from "./use_lite/load.ts";
export * from "./use_lite/model.ts";
export { UseLiteTokenizer } from "./use_lite/tokenizer.ts";
export * from "./use_lite/weights.ts";
export * from "./weights/mod.ts";
