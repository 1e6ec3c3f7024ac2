import { decodeText } from "../../data/mod.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";

/**
 * Splits the standard input into lines, blank ones included, so that each gets a prediction.
 *
 * @param encoding how it is encoded; by default as a byte order mark says, or else UTF-8.
 * @throws {CorruptFileError} if it isn't in the encoding.
 * @throws {ConfigError} if there are none.
 *
 * @example
 * ```ts
 * splitLines(Uint8Array.from([97, 13, 10, 13, 10, 98, 10])); // ["a", "", "b"]
 * ```
 */
export function splitLines(bytes: Uint8Array, encoding?: string): string[] {
  const text = decodeText(bytes, "the standard input", { encoding });
  if (text === "") {
    throw new ConfigError(
      "Cannot predict without texts: the standard input is empty; give texts as arguments, by --file, or a line each on it",
    );
  }
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}
