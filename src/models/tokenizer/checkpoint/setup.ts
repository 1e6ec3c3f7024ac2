import type { AddedToken } from "../added_tokens.ts";
import { classProcessor } from "./_class_processor.ts";
import { withClassSteps } from "./_class_steps.ts";
import { DEFAULT_TOKENS, type SpecialTokens, tellsParts } from "./_class_tokens.ts";
import { readNamedTokens } from "./_named_tokens.ts";
import { describeOverruled } from "./_overruled_steps.ts";
import { asConfig, asFlag, type Config } from "../read_config.ts";
import { readModel } from "../model/read_model.ts";
import { tokenizerClass, tokenizerScheme } from "./tokenizer_class.ts";
import type { TokenModel } from "../model/token_model.ts";

/** The files of a checkpoint that say how texts become tokens, parsed, but for tokenizer.json. */
export interface TokenizerSettings {
  /** `tokenizer_config.json` */
  readonly config?: unknown;
  /** `special_tokens_map.json` */
  readonly specialTokensMap?: unknown;
  /** `added_tokens.json` */
  readonly addedTokens?: unknown;
  /** The model's `config.json`, of which `model_type`, `tokenizer_class` and `vocab_size` are read. */
  readonly model?: unknown;
  /** Called with what the user should know about these files. */
  readonly onNotice?: (message: string) => void;
}

/** A tokenizer as all its files together define it. */
export interface TokenizerSetup {
  /** A tokenizer.json with all steps as they are. */
  readonly file: Config;
  readonly model: TokenModel;
  readonly added: readonly AddedToken[];
  /** Special tokens by what they are for. */
  readonly special: SpecialTokens;
  readonly settings: Config;
  /** Whether the model gets token types for the parts of a pair. */
  readonly tellsParts: boolean;
  /** Number of token types of the model; undefined if it has none or doesn't say. */
  readonly numTypes: number | undefined;
  /** Whether special tokens that a text spells are cut like any other text. */
  readonly splitsSpecial: boolean;
  readonly onNotice: ((message: string) => void) | undefined;
}

/**
 * Combines a tokenizer's files, as `AutoTokenizer` of transformers 5 does.
 *
 * @param file `tokenizer.json`, or its equivalent; `hasFile` says which.
 * @throws {TokenizerError} if files contradict themselves or each other, or ask for what isn't supported.
 */
export function setUpTokenizer(
  file: Config,
  { config, onNotice, ...files }: TokenizerSettings & { readonly hasFile: boolean },
): TokenizerSetup {
  const settings = asConfig(config ?? {}, "tokenizer_config.json");
  const modelConfig = asConfig(files.model ?? {}, "config.json");
  const source = { settings, model: modelConfig, hasFile: files.hasFile };
  const name = tokenizerClass(source);
  const scheme = tokenizerScheme(source);
  const options = { scheme, settings, className: name ?? "BertTokenizer" };
  const stepped = withClassSteps(file, options);
  const overruled = files.hasFile ? describeOverruled(file, stepped, options) : undefined;
  if (overruled !== undefined) onNotice?.(overruled);
  const model = readModel(stepped.model);
  const { vocab_size: rows, type_vocab_size: types } = modelConfig;
  const { added, special } = readNamedTokens(
    {
      file,
      settings,
      specialTokensMap: asConfig(files.specialTokensMap ?? {}, "special_tokens_map.json"),
      addedTokens: asConfig(files.addedTokens ?? {}, "added_tokens.json"),
    },
    model,
    {
      defaults: DEFAULT_TOKENS[scheme],
      startsAnew: scheme !== "generic",
      ...(Number.isInteger(rows) && { numEmbeddings: rows as number }),
    },
  );
  const processor = classProcessor(options, special);
  const inputs = settings.model_input_names;
  return {
    file: { ...stepped, ...(processor && { post_processor: processor }) },
    model,
    added,
    special,
    settings,
    tellsParts: Array.isArray(inputs)
      ? inputs.includes("token_type_ids")
      : name === undefined || tellsParts(scheme, name) || scheme === "generic" && isOfVersion4(modelConfig),
    numTypes: Number.isInteger(types) && types as number > 0 ? types as number : undefined,
    onNotice,
    splitsSpecial: asFlag(
      settings.split_special_tokens,
      "tokenizer_config.json's split_special_tokens",
      false,
    ),
  };
}

/** Whether transformers 4 wrote the model; its generic tokenizers give token types to parts, those of version 5 don't. */
function isOfVersion4({ transformers_version }: Config): boolean {
  return typeof transformers_version === "string" && /^[1-4]\./.test(transformers_version);
}
