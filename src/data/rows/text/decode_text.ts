import { FileDecoder } from "./_file_decoder.ts";

/** Options of {@linkcode decodeText}. */
export interface DecodeTextOptions {
  /** How it is encoded; by default as a byte order mark says, or else UTF-8. */
  readonly encoding?: string | undefined;
}

/**
 * The text of bytes that are in memory whole, without a byte order mark.
 *
 * @param name where they come from, for messages.
 * @throws {CorruptFileError} naming line and byte, if they aren't in the encoding, or are no text.
 * @throws {RangeError} if there is no such encoding.
 *
 * @example
 * ```ts
 * decodeText(new Uint8Array([0xff, 0xfe, 0x61, 0]), "a.txt"); // "a"
 * ```
 */
export function decodeText(bytes: Uint8Array, name: string, { encoding }: DecodeTextOptions = {}): string {
  const decoder = new FileDecoder(name, encoding);
  return decoder.decode(bytes) + decoder.decode();
}
