import type { TemplateItem } from "./_post_processor.ts";
import type { TokenizerSetup } from "./checkpoint/setup.ts";
import { TokenizerError } from "./errors.ts";

/**
 * A check to run before each pair is tokenized. It throws a {@linkcode TokenizerError} if the model doesn't have the token types
 * of pairs, and reports once if the model could use token types but the tokenizer's class gives none.
 *
 * @param template of a pair.
 */
export function createPairCheck(
  template: readonly TemplateItem[],
  { settings, tellsParts, numTypes, onNotice }: TokenizerSetup,
): () => void {
  const largest = Math.max(...template.map(({ type }) => type));
  if (largest === 0) return () => {};
  if (tellsParts && numTypes !== undefined && largest >= numTypes) {
    return () => {
      throw new TokenizerError(
        `Cannot tokenize pair: tokens of the second text have the type ${largest}, and the model has ${numTypes} types by ` +
          'type_vocab_size of its config.json; model_input_names in tokenizer_config.json without "token_type_ids" leaves types out',
      );
    };
  }
  if (tellsParts || Array.isArray(settings.model_input_names)) return () => {};
  let isReported = false;
  return () => {
    if (isReported) return;
    isReported = true;
    onNotice?.(
      "Both texts of a pair have the token type 0, as in transformers 5 for this tokenizer_class; " +
        'model_input_names in tokenizer_config.json with "token_type_ids" gives the second text type 1',
    );
  };
}
