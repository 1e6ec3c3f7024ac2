import { asConfig, asFlag, asId, asText, type Config, refuse, show } from "./_read_config.ts";
import type { TokenizerScheme } from "./_tokenizer_class.ts";

/** What steps are made from. */
export interface ClassStepsOptions {
  readonly scheme: TokenizerScheme;
  /** `tokenizer_config.json` */
  readonly settings: Config;
  /** The name of the class, for messages. */
  readonly className: string;
}

/** Special tokens with their ids, by what they are for, such as `cls_token`. */
export type SpecialTokens = ReadonlyMap<string, { readonly content: string; readonly id: number }>;

/** Special tokens of classes that name none themselves, by what they are for. */
export const DEFAULT_TOKENS: Readonly<Record<TokenizerScheme, Readonly<Record<string, string>>>> = {
  generic: {},
  wordPiece: {},
  byteLevel: {},
  bert: {
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  },
  roberta: robertaTokens(),
  xlmRoberta: robertaTokens(),
  debertaV2: {
    bos_token: "[CLS]",
    eos_token: "[SEP]",
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  },
  albert: {
    bos_token: "[CLS]",
    eos_token: "[SEP]",
    unk_token: "<unk>",
    sep_token: "[SEP]",
    pad_token: "<pad>",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  },
};

/** Whether models of the class are told which part of a pair a token is in, unless `model_input_names` says otherwise. */
export function tellsParts(scheme: TokenizerScheme, className: string): boolean {
  if (/^(DistilBert|MPNet)Tokenizer/.test(className)) return false;
  return scheme === "bert" || scheme === "wordPiece" || scheme === "debertaV2" || /^Deberta/.test(className);
}

function robertaTokens(): Record<string, string> {
  return {
    bos_token: "<s>",
    eos_token: "</s>",
    unk_token: "<unk>",
    sep_token: "</s>",
    pad_token: "<pad>",
    cls_token: "<s>",
    mask_token: "<mask>",
  };
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
      `${className}, which tokenizer_config.json or model_type asks for, makes a ${
        MODELS[scheme]
      } model, got ${
        show(type)
      } in tokenizer.json; set tokenizer_class of tokenizer_config.json to "PreTrainedTokenizerFast" to use that as it stands`,
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

/** The `post_processor` of a class that makes its own; undefined for those that keep that of tokenizer.json. */
export function classProcessor(
  { scheme, settings }: ClassStepsOptions,
  special: SpecialTokens,
): Config | undefined {
  const mark = (name: string) => {
    const usual = DEFAULT_TOKENS[scheme][name];
    return special.get(name) ??
      refuse(`the ${name} ${show(textOf(settings[name]) ?? usual)} must be in the vocabulary`);
  };
  switch (scheme) {
    case "generic":
    case "wordPiece":
    case "byteLevel":
    case "albert":
      return undefined;
    case "roberta": {
      const [cls, sep] = [mark("cls_token"), mark("sep_token")];
      return {
        type: "RobertaProcessing",
        cls: [cls.content, cls.id],
        sep: [sep.content, sep.id],
        trim_offsets: asFlag(settings.trim_offsets, "tokenizer_config.json's trim_offsets", true),
        add_prefix_space: asFlag(
          settings.add_prefix_space,
          "tokenizer_config.json's add_prefix_space",
          false,
        ),
      };
    }
    case "xlmRoberta": {
      const [bos, eos] = [mark("bos_token"), mark("eos_token")];
      return template(bos, eos, { separators: 2, types: false });
    }
    case "bert":
    case "debertaV2":
      return template(mark("cls_token"), mark("sep_token"), { separators: 1, types: true });
  }
}

function template(
  cls: { readonly content: string; readonly id: number },
  sep: { readonly content: string; readonly id: number },
  { separators, types }: { readonly separators: number; readonly types: boolean },
): Config {
  const mark = (id: string, type_id = 0) => ({ SpecialToken: { id, type_id } });
  const part = (id: string, type_id = 0) => ({ Sequence: { id, type_id } });
  const second = types ? 1 : 0;
  const single = [mark("cls"), part("A"), mark("sep")];
  const between = new Array(separators - 1).fill(mark("sep"));
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, ...between, part("B", second), mark("sep", second)],
    special_tokens: { cls: { id: "cls", ids: [cls.id] }, sep: { id: "sep", ids: [sep.id] } },
  };
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

/** @throws {TokenizerError} if the file takes another piece for unknown characters than the class does. */
function unigram(model: Config, unknown: number): Config {
  if (model.unk_id !== unknown) {
    refuse(
      `model.unk_id must be ${unknown}, which its class takes for unknown characters, got ${
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

/** What a model is; older files don't say: only BPE has merges, and only Unigram's vocabulary is a list. */
export function modelType({ type, vocab, merges }: Config): unknown {
  return type ?? (Array.isArray(vocab) ? "Unigram" : merges ? "BPE" : "WordPiece");
}

/** A token as a settings file has it: its text, or an object with that; undefined if it isn't there. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return asText(typeof value === "object" ? (value as Config).content : value, "a special token's content");
}
