import { asText, type Config } from "../read_config.ts";
import type { TokenizerScheme } from "./tokenizer_class.ts";

/** Special tokens with their ids, by role, such as `cls_token`. */
export type SpecialTokens = ReadonlyMap<string, { readonly content: string; readonly id: number }>;

/** Default special tokens of the classes, by their roles. */
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

/** Whether models of the class get token types for the parts of a pair, unless `model_input_names` says otherwise. */
export function tellsParts(scheme: TokenizerScheme, className: string): boolean {
  if (/^(DistilBert|MPNet|Funnel|Splinter|DPRReader)Tokenizer/.test(className)) return false;
  return scheme === "bert" || scheme === "wordPiece" || scheme === "debertaV2" ||
    /^(Deberta|FNet)/.test(className);
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

/** The text of a token in a settings file, which has the text or an object with it; undefined if it is missing. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return asText(typeof value === "object" ? (value as Config).content : value, "a special token's content");
}
