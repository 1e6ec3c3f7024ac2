import { asId, asList, type Config, show } from "../read_config.ts";
import {
  checkContent,
  fileTokens,
  isToken,
  PLAIN,
  readDecoder,
  readEntries,
  readEntry,
  setNumbered,
  type TokenEntry,
} from "./_token_entry.ts";

/** The files that name tokens, parsed; `{}` for one that is missing. */
export interface TokenFiles {
  /** `tokenizer.json` */
  readonly file: Config;
  /** `tokenizer_config.json` */
  readonly settings: Config;
  /** `special_tokens_map.json` */
  readonly specialTokensMap: Config;
  /** `added_tokens.json`: ids by token. */
  readonly addedTokens: Config;
}

const ATTRIBUTES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/** Marks the objects of special_tokens_map.json. */
const MAPPED = Symbol("special_tokens_map.json");

/** What the files name, merged as transformers 5 merges them. */
export class NamedEntries {
  /** Tokens whose ids are given, by id. */
  readonly numbered: ReadonlyMap<number, TokenEntry>;
  readonly extra: readonly TokenEntry[];
  readonly #attributes: Map<string, unknown>;
  readonly #own: ReadonlyMap<string, unknown>;

  constructor({ file, settings, specialTokensMap, addedTokens }: TokenFiles) {
    const named = new Map(Object.entries(settings));
    if (named.has("additional_special_tokens") && isEmpty(named.get("extra_special_tokens"))) {
      named.set("extra_special_tokens", named.get("additional_special_tokens"));
      named.delete("additional_special_tokens");
    }
    const own = new Map<string, unknown>();
    for (const [key, value] of named) {
      if (isOwnToken(key) && typeof value === "string") own.set(key, value);
    }
    const takeOwn = () => {
      const extra = named.get("extra_special_tokens");
      if (typeof extra !== "object" || extra === null || Array.isArray(extra)) return;
      for (const [key, value] of Object.entries(extra)) own.set(key, value);
      named.delete("extra_special_tokens");
    };
    takeOwn();
    const decoder = settings.added_tokens_decoder ?? undefined;
    if (decoder === undefined) {
      mergeMap(named, specialTokensMap);
      takeOwn();
    }
    const found = [...named].filter(([key, value]) =>
      isOwnToken(key) && !own.has(key) && (typeof value === "string" || isToken(value))
    );
    this.#own = new Map([...found, ...own]);
    this.#attributes = named;
    const listed = named.get("extra_special_tokens");
    const extra = readEntries(listed, "extra_special_tokens");
    const numbered = decoder === undefined
      ? this.#readAddedTokens(addedTokens, asList(listed ?? [], "extra_special_tokens"))
      : readDecoder(decoder);
    if (decoder === undefined) {
      for (const [id, entry] of fileTokens(file)) {
        setNumbered(numbered, id, entry);
      }
    }
    this.numbered = new Map([...numbered].sort(([a], [b]) => a - b));
    this.extra = named.has("extra_special_tokens")
      ? extra
      : readEntries(named.get("additional_special_tokens"), "additional_special_tokens");
  }

  /** Special tokens by what they are for, in the order in which they become tokens. */
  special(defaults: Readonly<Record<string, string>>): Map<string, TokenEntry> {
    const numbered = new Map([...this.numbered.values()].map((entry) => [entry.content, entry]));
    const found = new Map<string, TokenEntry>();
    for (const name of ATTRIBUTES) {
      const value = this.#attributes.has(name) ? this.#attributes.get(name) : defaults[name];
      if (value === undefined || value === null) continue;
      const { source: _, ...entry } = readEntry(value, name);
      const known = numbered.get(entry.content);
      found.set(name, known ?? { ...entry, ...(this.#attributes.has(name) && { source: name }) });
    }
    for (const [name, value] of this.#own) found.set(name, readEntry(value, name));
    return found;
  }

  /**
   * The ids that added_tokens.json gives. Tokens are special there that are named as special by their text, or in
   * special_tokens_map.json; transformers doesn't look into the objects of tokenizer_config.json.
   */
  #readAddedTokens(addedTokens: Config, extra: readonly unknown[]): Map<number, TokenEntry> {
    const values = [...ATTRIBUTES.map((name) => this.#attributes.get(name)), ...extra];
    const special = new Set(
      values.flatMap((value) => isMapped(value) ? [value.content] : typeof value === "string" ? [value] : []),
    );
    const found = new Map<number, TokenEntry>();
    for (const [content, value] of Object.entries(addedTokens)) {
      const source = "added_tokens.json";
      const id = asId(value, `the id of ${show(content)} in ${source}`);
      const isSpecial = special.has(content);
      const text = checkContent(content, `a token of ${source}`);
      setNumbered(found, id, { ...PLAIN, content: text, isNormalized: !isSpecial, isSpecial, source });
    }
    return found;
  }
}

/** special_tokens_map.json goes before tokenizer_config.json; lists of extra tokens are joined. */
function mergeMap(named: Map<string, unknown>, specialTokensMap: Config): void {
  for (const [key, value] of Object.entries(specialTokensMap)) {
    if (key === "extra_special_tokens" && Array.isArray(value)) {
      const before = named.get(key) ?? [];
      named.set(key, [...asList(before, key), ...value.map(asSpecial)]);
    } else {
      const isList = key === "additional_special_tokens" && Array.isArray(value);
      named.set(key, isList ? value.map(asSpecial) : asSpecial(value));
    }
  }
}

/** Every token of special_tokens_map.json is special. */
function asSpecial(value: unknown): unknown {
  return isToken(value) ? { ...value, special: true, [MAPPED]: true } : value;
}

function isMapped(value: unknown): value is Config {
  return isToken(value) && MAPPED in value;
}

function isOwnToken(key: string): boolean {
  return key.endsWith("_token") && !ATTRIBUTES.includes(key);
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null ||
    typeof value === "object" && Object.keys(value).length === 0;
}
