import { asId, type Config, show } from "../read_config.ts";

/** A token of a word, and the characters of the word that it stands for. */
export interface WordToken {
  readonly id: number;
  readonly from: number;
  readonly to: number;
}

/** What cuts words into the tokens of a vocabulary. */
export interface TokenModel {
  readonly ids: ReadonlyMap<string, number>;
  /** Tokens that the file lists, repeated ones included. */
  readonly size: number;
  /** The tokens of a word, given by its characters. */
  encode(chars: readonly string[]): readonly WordToken[];
}

/** A vocabulary as it stands in the file. @throws {TokenizerError} if a token has no proper id. */
export function readVocabulary(vocabulary: Config): Map<string, number> {
  return new Map(
    Object.entries(vocabulary).map(([token, id]) => [token, asId(id, `the id of token ${show(token)}`)]),
  );
}

/** The tokens `<0x00>` to `<0xFF>` that spell a text byte by byte; undefined if the vocabulary lacks one. */
export function byteTokens(text: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  const tokens: number[] = [];
  for (const byte of new TextEncoder().encode(text)) {
    const id = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return undefined;
    tokens.push(id);
  }
  return tokens;
}
