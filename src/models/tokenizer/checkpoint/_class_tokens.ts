import { asText, type Config } from "../read_config.ts";
import type { TokenizerScheme } from "./tokenizer_class.ts";

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

/** A token as a settings file has it: its text, or an object with that; undefined if it isn't there. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return asText(typeof value === "object" ? (value as Config).content : value, "a special token's content");
}
