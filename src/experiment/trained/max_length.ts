import type { Backbone, Tokenizer } from "../../models/mod.ts";
import { ConfigError } from "../config/parse_config.ts";

/** Options of {@linkcode maxLengthFor}. */
export interface MaxLengthOptions {
  /** The maximum length that the user asks for. */
  readonly given: number | undefined;
  /** The maximum length that is recorded with the model. */
  readonly recorded: number | undefined;
}

/**
 * The maximum length of a text in tokens: the given one, else the recorded one, else the longest that encoder and tokenizer allow.
 *
 * @throws {ConfigError} when more are asked for than it reads.
 */
export function maxLengthFor(
  { encoder: { maxTokens }, tokenizer }: { readonly encoder: Backbone; readonly tokenizer: Tokenizer },
  { given, recorded }: MaxLengthOptions,
): number {
  if (given !== undefined && given > maxTokens) {
    throw new ConfigError(
      `Cannot read texts of ${given} tokens: the encoder reads at most ${maxTokens}; lower --max-length`,
    );
  }
  return given ?? recorded ?? Math.min(tokenizer.maxLength, maxTokens);
}
