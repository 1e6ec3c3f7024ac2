import { asConfig, asFlag, asId, type Config, refuse, show } from "../read_config.ts";
import { modelType } from "../model/read_model.ts";
import { DEFAULT_TOKENS, textOf } from "./_class_tokens.ts";
import type { TokenizerScheme } from "./tokenizer_class.ts";

/** What steps are made from. */
export interface ClassStepsOptions {
  readonly scheme: TokenizerScheme;
  /** `tokenizer_config.json` */
  readonly settings: Config;
  /** The name of the class, for messages. */
  readonly className: string;
}

/** Which model each class builds, and what it is called in tokenizer.json. */
const MODELS: Readonly<Record<Exclude<TokenizerScheme, "generic">, "WordPiece" | "BPE" | "Unigram">> = {
  bert: "WordPiece",
  wordPiece: "WordPiece",
  roberta: "BPE",
  byteLevel: "BPE",
  xlmRoberta: "Unigram",
  debertaV2: "Unigram",
  albert: "Unigram",
};

/**
 * A tokenizer.json with the steps before the special tokens as the class makes them from `tokenizer_config.json`.
 *
 * @param special tokens by what they are for.
 * @throws {TokenizerError} if a setting isn't of its type, or the class is for another kind of model.
 */
export function withClassSteps(file: Config, options: ClassStepsOptions): Config {
  const { scheme, settings, className } = options;
  if (scheme === "generic") return file;
  const model = asConfig(file.model, "model");
  const type = modelType(model);
  if (type !== MODELS[scheme]) {
    refuse(
      `${className}, which tokenizer_config.json or model_type asks for, needs a ${
        MODELS[scheme]
      } model, got ${
        show(type)
      } in tokenizer.json; set tokenizer_class of tokenizer_config.json to "PreTrainedTokenizerFast" to use that file as it is`,
    );
  }
  const flag = (name: string, missing: boolean) =>
    asFlag(settings[name], `tokenizer_config.json's ${name}`, missing);
  switch (scheme) {
    case "bert":
    case "wordPiece":
      return {
        ...file,
        normalizer: {
          type: "BertNormalizer",
          clean_text: true,
          handle_chinese_chars: flag("tokenize_chinese_chars", true),
          lowercase: flag("do_lower_case", true),
          strip_accents: flag("strip_accents", flag("do_lower_case", true)),
        },
        pre_tokenizer: { type: "BertPreTokenizer" },
        model: {
          type: "WordPiece",
          vocab: model.vocab,
          unk_token: textOf(settings.unk_token) ?? DEFAULT_TOKENS.bert.unk_token,
        },
      };
    case "roberta":
      return {
        ...file,
        normalizer: null,
        pre_tokenizer: { type: "ByteLevel", add_prefix_space: flag("add_prefix_space", false) },
        model: { type: "BPE", vocab: model.vocab, merges: model.merges },
      };
    case "byteLevel":
      return {
        ...file,
        pre_tokenizer: { type: "ByteLevel", add_prefix_space: flag("add_prefix_space", false) },
      };
    case "xlmRoberta":
      return {
        ...file,
        normalizer: precompiled(file.normalizer) ?? null,
        pre_tokenizer: spacedPieces(flag("add_prefix_space", true)),
        model: unigram(model, 3),
      };
    case "debertaV2":
      return {
        ...file,
        normalizer: {
          type: "Sequence",
          normalizers: [
            ...(flag("do_lower_case", false) ? [{ type: "Lowercase" }] : []),
            { type: "Replace", pattern: { Regex: "\\s{2,}|[\\n\\r\\t]" }, content: " " },
            { type: "NFC" },
            { type: "Strip", strip_left: false, strip_right: true },
          ],
        },
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [
            ...(flag("split_by_punct", false) ? [{ type: "Punctuation", behavior: "Isolated" }] : []),
            { type: "Metaspace", prepend_scheme: flag("add_prefix_space", true) ? "always" : "first" },
          ],
        },
        model: unigram(model, unknownPiece(model.vocab, settings)),
      };
    case "albert":
      return {
        ...file,
        normalizer: {
          type: "Sequence",
          normalizers: [
            { type: "Replace", pattern: { String: "``" }, content: '"' },
            { type: "Replace", pattern: { String: "''" }, content: '"' },
            ...(flag("keep_accents", false) ? [] : [{ type: "NFKD" }, { type: "StripAccents" }]),
            ...(flag("do_lower_case", true) ? [{ type: "Lowercase" }] : []),
            ...(precompiled(file.normalizer) === undefined ? [] : [precompiled(file.normalizer)]),
          ],
        },
        pre_tokenizer: spacedPieces(flag("add_prefix_space", true)),
        model: unigram(model, 1),
      };
  }
}

function spacedPieces(addsSpace: boolean): Config {
  return {
    type: "Sequence",
    pretokenizers: [
      { type: "WhitespaceSplit" },
      { type: "Metaspace", prepend_scheme: addsSpace ? "always" : "never" },
    ],
  };
}

/** @throws {TokenizerError} if the file uses another piece for unknown characters than the class. */
function unigram(model: Config, unknown: number): Config {
  if (model.unk_id !== unknown) {
    refuse(
      `model.unk_id must be ${unknown}, which its class uses for unknown characters, got ${
        show(model.unk_id)
      }`,
    );
  }
  return { ...model, byte_fallback: false };
}

/** The place of the unknown piece, as DebertaV2Tokenizer finds it. */
function unknownPiece(vocab: unknown, settings: Config): number {
  const token = textOf(settings.unk_token) ?? DEFAULT_TOKENS.debertaV2.unk_token;
  const at = Array.isArray(vocab)
    ? vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === token && entry[1] === 0)
    : -1;
  return at >= 0 ? at : asId(settings.unk_id ?? 1, "tokenizer_config.json's unk_id");
}

/** The first precompiled step of a normalizer. */
function precompiled(normalizer: unknown): Config | undefined {
  if (normalizer === null || normalizer === undefined) return undefined;
  const config = asConfig(normalizer, "normalizer");
  const steps: readonly unknown[] = Array.isArray(config.normalizers) ? config.normalizers : [config];
  return steps.find((step): step is Config => (step as Config | null)?.type === "Precompiled");
}
