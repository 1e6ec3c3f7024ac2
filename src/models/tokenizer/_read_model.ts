import { readBpe } from "./_bpe.ts";
import { modelType } from "./_class_steps.ts";
import { asConfig, refuse, show } from "./_read_config.ts";
import type { TokenModel } from "./_token_model.ts";
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
