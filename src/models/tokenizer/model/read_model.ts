import { readBpe } from "./_bpe.ts";
import { asConfig, type Config, refuse, show } from "../read_config.ts";
import type { TokenModel } from "./token_model.ts";
import { readUnigram } from "./_unigram.ts";
import { readWordPiece } from "./_word_piece.ts";

/**
 * The `model` of a tokenizer.json.
 *
 * @throws {TokenizerError} if it is of an unknown type, or its vocabulary doesn't make sense.
 */
export function readModel(value: unknown): TokenModel {
  const config = asConfig(value, "model");
  const type = modelType(config);
  switch (type) {
    case "WordPiece":
      return readWordPiece(config);
    case "BPE":
      return readBpe(config);
    case "Unigram":
      return readUnigram(config);
    default:
      return refuse(`model.type ${show(type)} is not supported`);
  }
}

/** What a model is; older files don't say: only BPE has merges, and only Unigram's vocabulary is a list. */
export function modelType({ type, vocab, merges }: Config): unknown {
  return type ?? (Array.isArray(vocab) ? "Unigram" : merges ? "BPE" : "WordPiece");
}
