import { BPE } from "@huggingface/tokenizers";
import { asConfig, asFlag, asList, asText, type Config, refuse, show } from "../read_config.ts";
import { byteTokens, readVocabulary, type TokenModel, type WordToken } from "./token_model.ts";

/**
 * Byte-pair encoding: neighbours are merged in the order in which the merges were learned (Sennrich et al. 2016,
 * arXiv:1508.07909, section 3.2).
 *
 * @throws {TokenizerError} if the settings, the vocabulary or the merges don't make sense.
 */
export function readBpe(config: Config): TokenModel {
  for (const name of ["dropout", "continuing_subword_prefix"]) {
    const value = config[name] ?? "";
    if (value !== "" && value !== 0) refuse(`model.${name} is not supported, got ${show(value)}`);
  }
  const vocabulary = asConfig(config.vocab, "model.vocab");
  const ids = readVocabulary(vocabulary);
  const merges = asList(config.merges, "model.merges").map((merge, i) => readMerge(merge, ids, i));
  const suffix = asText(config.end_of_word_suffix ?? "", "model.end_of_word_suffix");
  const fallsBack = asFlag(config.byte_fallback, "model.byte_fallback", false);
  const takesWhole = asFlag(config.ignore_merges, "model.ignore_merges", false);
  const fusesUnknown = asFlag(config.fuse_unk, "model.fuse_unk", false);
  const unknown = readUnknown(config.unk_token, ids);
  const bpe = new BPE({
    type: "BPE",
    vocab: vocabulary as Record<string, number>,
    merges,
    ...(suffix !== "" && { end_of_word_suffix: suffix }),
  });

  return {
    ids,
    size: ids.size,
    encode(chars) {
      const word = chars.join("");
      const whole = takesWhole ? ids.get(word) : undefined;
      if (whole !== undefined) return [{ id: whole, from: 0, to: chars.length }];
      const tokens: WordToken[] = [];
      let from = 0;
      for (const piece of bpe.bpe(word)) {
        const to = Math.min(from + [...piece].length, chars.length);
        const id = ids.get(piece);
        const bytes = id === undefined && fallsBack ? byteTokens(piece, ids) : undefined;
        const before = tokens.at(-1);
        if (id !== undefined) {
          tokens.push({ id, from, to });
        } else if (bytes !== undefined) {
          for (const byte of bytes) tokens.push({ id: byte, from, to });
        } else if (fusesUnknown && before !== undefined && before.id === unknown) {
          tokens[tokens.length - 1] = { ...before, to };
        } else if (unknown !== undefined) {
          tokens.push({ id: unknown, from, to });
        }
        from = to;
      }
      return tokens;
    },
  };
}

function readUnknown(value: unknown, ids: ReadonlyMap<string, number>): number | undefined {
  if (value === null || value === undefined) return undefined;
  const token = asText(value, "model.unk_token");
  return ids.get(token) ?? refuse(`model.vocab must have the unknown token ${show(token)}`);
}

/** A merge is `["a", "b"]`, or `"a b"` in older files. */
function readMerge(value: unknown, ids: ReadonlyMap<string, number>, i: number): [string, string] {
  const parts: unknown = typeof value === "string" ? value.split(" ") : value;
  const isPair = Array.isArray(parts) && parts.length === 2 &&
    parts.every((part) => typeof part === "string");
  if (!isPair) return refuse(`model.merges[${i}] must be two tokens, got ${show(value)}`);
  const [left, right] = parts as [string, string];
  for (const token of [left, right, left + right]) {
    if (!ids.has(token)) refuse(`model.merges[${i}] needs a token that model.vocab lacks: ${show(token)}`);
  }
  return [left, right];
}
