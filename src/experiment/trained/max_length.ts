import type { Backbone, Tokenizer } from "../../models/mod.ts";
import { ConfigError } from "../config/parse_config.ts";

/** Options of {@linkcode maxLengthFor}. */
export interface MaxLengthOptions {
  /** Tokens that the user asks for. */
  readonly given: number | undefined;
  /** Tokens that are recorded of the model. */
  readonly recorded: number | undefined;
}

/**
 * Tokens of a text for a model: those asked for, else those recorded, else as many as both encoder and tokenizer allow.
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
