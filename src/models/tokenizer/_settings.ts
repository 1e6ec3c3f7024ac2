import { tokenText } from "./_bert_vocabulary.ts";
import { asConfig, asFlag, type Config, refuse, show } from "./_read_config.ts";

/** Libraries write 10³⁰ for no limit. */
const NO_LIMIT = 1e9;
const PAD_TOKENS = ["[PAD]", "<pad>"];

/**
 * A tokenizer.json as `tokenizer_config.json` has it: `transformers` lets its settings of case, accents and the first
 * space overrule those of the other file.
 *
 * @throws {TokenizerError} if a setting isn't true or false.
 */
export function withSettings(file: Config, settings: Config): Config {
  const overrule = (value: unknown, type: string, names: Readonly<Record<string, string>>): unknown => {
    if (typeof value !== "object" || value === null || (value as Config).type !== type) return value;
    const step: Record<string, unknown> = { ...value };
    for (const [name, setting] of Object.entries(names)) {
      const flag = settings[setting] ?? undefined;
      if (flag !== undefined) step[name] = asFlag(flag, `tokenizer_config.json's ${setting}`, false);
    }
    return step;
  };
  return {
    ...file,
    normalizer: overrule(file.normalizer, "BertNormalizer", {
      lowercase: "do_lower_case",
      strip_accents: "strip_accents",
      handle_chinese_chars: "tokenize_chinese_chars",
    }),
    pre_tokenizer: overrule(file.pre_tokenizer, "ByteLevel", { add_prefix_space: "add_prefix_space" }),
  };
}

/**
 * The id of the padding token, which `tokenizer_config.json` names, or the `padding` of tokenizer.json.
 *
 * @throws {TokenizerError} if there is none.
 */
export function readPadId(file: Config, settings: Config, ids: ReadonlyMap<string, number>): number {
  const padding = file.padding === null || file.padding === undefined
    ? {}
    : asConfig(file.padding, "padding");
  const named = settings.pad_token ?? padding.pad_token ?? PAD_TOKENS.find((token) => ids.has(token));
  if (named === undefined) {
    return refuse(`there must be a padding token, named as pad_token in tokenizer_config.json`);
  }
  const text = tokenText(named, "pad_token");
  return ids.get(text) ?? refuse(`the padding token ${show(text)} must be in the vocabulary`);
}

/** `model_max_length`, Infinity for none. @throws {TokenizerError} if it isn't a number of tokens. */
export function readMaxLength(value: unknown): number {
  if (value === undefined || value === null) return Infinity;
  if (typeof value !== "number" || !(value >= 1)) {
    return refuse(`model_max_length must be a number of tokens, at least 1, got ${show(value)}`);
  }
  return value >= NO_LIMIT ? Infinity : Math.floor(value);
}
