import type { TextEncoder } from "../../models/mod.ts";
import { ConfigError } from "../config/parse_config.ts";

/** Tokens of a text where nothing is said. */
export const DEFAULT_MAX_LENGTH = 128;

/** Options of {@linkcode maxLengthFor}. */
export interface MaxLengthOptions {
  /** Tokens that a person asks for. */
  readonly given: number | undefined;
  /** Tokens that are recorded of the model. */
  readonly recorded: number | undefined;
}

/**
 * Tokens of a text for an encoder: those asked for, else those recorded, else the usual number of them or as many as it reads.
 *
 * @throws {ConfigError} when more are asked for than it reads.
 */
export function maxLengthFor({ maxTokens }: TextEncoder, { given, recorded }: MaxLengthOptions): number {
  if (given !== undefined && given > maxTokens) {
    throw new ConfigError(
      `Cannot read texts of ${given} tokens: the encoder reads ${maxTokens}; lower --max-length`,
    );
  }
  return given ?? recorded ?? Math.min(DEFAULT_MAX_LENGTH, maxTokens);
}
