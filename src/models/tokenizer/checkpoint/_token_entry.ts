import type { AddedToken } from "../added_tokens.ts";
import { asConfig, asFlag, asId, asList, asText, type Config, refuse, show } from "../read_config.ts";

/** A token that files name. */
export interface TokenEntry extends Omit<AddedToken, "id"> {
  /** Where it is named, for messages; undefined for one that its class has by default. */
  readonly source?: string;
  /** Whether no file says if it is looked for in the normalised text; special tokens aren't, then. */
  readonly isNormalizedByDefault?: boolean;
}

/** A token as a special one. */
export function asSpecialEntry(entry: TokenEntry): TokenEntry {
  return { ...entry, isSpecial: true, ...(entry.isNormalizedByDefault && { isNormalized: false }) };
}

/** Longest token, in characters; a longer one would slow down every text. */
const MAX_CONTENT = 1000;
/** Flags, which are off unless a file sets them. */
export const PLAIN = { isWord: false, stripsLeft: false, stripsRight: false };

/** Whether a value is a token as an object. */
export function isToken(value: unknown): value is Config {
  return typeof value === "object" && value !== null && typeof (value as Config).content === "string";
}

/** Tokens of a list, each as its text or an object. @throws {TokenizerError} if they are neither. */
export function readEntries(value: unknown, what: string): TokenEntry[] {
  return asList(value ?? [], what).map((entry, i) => readEntry(entry, `${what}[${i}]`));
}

/** A token as its text, which is special then, or as an object. */
export function readEntry(value: unknown, what: string): TokenEntry {
  if (typeof value === "string") {
    return {
      ...PLAIN,
      content: checkContent(value, what),
      isNormalized: false,
      isSpecial: true,
      source: what,
    };
  }
  const config = asConfig(value, what);
  const flag = (name: string, missing: boolean) => asFlag(config[name], `${what}.${name}`, missing);
  const isSpecial = flag("special", false);
  return {
    content: checkContent(asText(config.content, `${what}.content`), what),
    isWord: flag("single_word", false),
    stripsLeft: flag("lstrip", false),
    stripsRight: flag("rstrip", false),
    isNormalized: flag("normalized", !isSpecial),
    isSpecial,
    source: what,
    isNormalizedByDefault: (config.normalized ?? undefined) === undefined,
  };
}

/** A token's text. @throws {TokenizerError} if it's too long for one. */
export function checkContent(content: string, what: string): string {
  if (content.length <= MAX_CONTENT) return content;
  return refuse(`${what} must have at most ${MAX_CONTENT} characters, got ${content.length}`);
}

/** `added_tokens_decoder` of tokenizer_config.json: tokens by id. */
export function readDecoder(value: unknown): Map<number, TokenEntry> {
  const what = "added_tokens_decoder";
  const found = new Map<number, TokenEntry>();
  for (const [key, entry] of Object.entries(asConfig(value, what))) {
    const place = `${what}[${show(key)}]`;
    const id = asId(/^\d+$/.test(key) ? Number(key) : key, `the key ${show(key)} of ${what}`);
    setNumbered(found, id, { ...readEntry(asConfig(entry, place), place), source: what });
  }
  return found;
}

/** `added_tokens` of tokenizer.json by id; those of a vocab.txt are its class's own. */
export function fileTokens(file: Config): Map<number, TokenEntry> {
  const found = new Map<number, TokenEntry>();
  for (const [i, entry] of asList(file.added_tokens ?? [], "added_tokens").entries()) {
    const what = `added_tokens[${i}]`;
    const config = asConfig(entry, what);
    setNumbered(found, asId(config.id, `${what}.id`), {
      ...readEntry(config, what),
      source: "tokenizer.json",
    });
  }
  return found;
}

/** Gives an id a token. @throws {TokenizerError} if another token has the id. */
export function setNumbered(found: Map<number, TokenEntry>, id: number, entry: TokenEntry): void {
  const other = found.get(id);
  if (other !== undefined && other.content !== entry.content) {
    const sources = [...new Set([other.source, entry.source])].join(" and ");
    refuse(
      `${sources} must give each token an id of its own, got ${id} for ${show(other.content)} and ${
        show(entry.content)
      }`,
    );
  }
  found.set(id, entry);
}
