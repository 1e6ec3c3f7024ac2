import type { AddedToken } from "./_added_tokens.ts";
import type { SpecialTokens } from "./_class_steps.ts";
import { asConfig, asFlag, asId, asList, asText, type Config, refuse, show } from "./_read_config.ts";
import type { TokenModel } from "./_token_model.ts";

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

/** Options of {@linkcode readNamedTokens}. */
export interface NamedTokensOptions {
  /** Special tokens that the class has where no file names any, by what they are for. */
  readonly defaults: Readonly<Record<string, string>>;
  /** Whether the class begins with the vocabulary alone, so that only what is named here becomes a token. */
  readonly startsAnew: boolean;
  /** Rows of the model's embeddings, if known. */
  readonly numEmbeddings?: number | undefined;
}

/** A token that files name. */
interface TokenEntry extends Omit<AddedToken, "id"> {
  /** Where it is named, for messages; undefined for one that its class has by default. */
  readonly source?: string;
}

/** The tokens that stand beside a vocabulary. */
export interface NamedTokens {
  readonly added: readonly AddedToken[];
  /** Tokens by what they are for, such as `pad_token`. */
  readonly special: SpecialTokens;
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
/** No token is as long as this; a longer one would make every text slow to read. */
const MAX_CONTENT = 1000;
const PLAIN = { isWord: false, stripsLeft: false, stripsRight: false };

/**
 * The tokens that the files beside a vocabulary name, with the ids that transformers 5 gives them: those of the
 * vocabulary keep theirs, and the others come after it: `added_tokens_decoder` (or, where that is missing,
 * added_tokens.json and the `added_tokens` of tokenizer.json) in the order of ids, then the special tokens by what they
 * are for, then `extra_special_tokens` (or `additional_special_tokens`).
 *
 * @throws {TokenizerError} if tokens are named in a wrong way, have two ids or share one, or are beyond the embeddings.
 */
export function readNamedTokens(
  files: TokenFiles,
  model: TokenModel,
  { defaults, startsAnew, numEmbeddings }: NamedTokensOptions,
): NamedTokens {
  const named = new NamedEntries(files);
  const list = new AddedList(model);
  if (!startsAnew) {
    for (const [id, entry] of fileTokens(files.file)) list.add(entry, id);
  }
  for (const [id, entry] of named.numbered) list.add(entry, id);
  const special = named.special(defaults);
  const contents = new Set([...special.values()].map(({ content }) => content));
  const before = list.contents();
  for (const entry of [...special.values(), ...named.extra]) {
    if (before.has(entry.content)) continue;
    list.add({ ...entry, isSpecial: entry.isSpecial || contents.has(entry.content) });
  }
  if (startsAnew) {
    const after = list.contents();
    for (const [, { content }] of fileTokens(files.file)) {
      if (after.has(content)) continue;
      refuse(
        `tokenizer.json has the added token ${
          show(content)
        }, which added_tokens_decoder of tokenizer_config.json lacks`,
      );
    }
  }
  const added = list.withinEmbeddings(numEmbeddings);
  const ids = new Map(added.map(({ content, id }) => [content, id]));
  return {
    added,
    special: new Map(
      [...special].flatMap(([name, { content }]) => {
        const id = ids.get(content);
        return id === undefined ? [] : [[name, { content, id }]];
      }),
    ),
  };
}

/** What the files name, merged as transformers 5 merges them. */
class NamedEntries {
  /** Tokens whose ids are said, by id. */
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
    for (const [key, value] of named) {
      if (isOwnToken(key) && !own.has(key) && (typeof value === "string" || isToken(value))) {
        own.set(key, value);
      }
    }
    this.#own = own;
    this.#attributes = named;
    const extra = readEntries(named.get("extra_special_tokens"), "extra_special_tokens");
    this.numbered = decoder === undefined
      ? new Map([...this.#readAddedTokens(addedTokens, extra), ...fileTokens(file)].sort(([a], [b]) => a - b))
      : readDecoder(decoder);
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

  /** The ids that added_tokens.json gives. */
  #readAddedTokens(addedTokens: Config, extra: readonly TokenEntry[]): Map<number, TokenEntry> {
    const special = new Set([
      ...ATTRIBUTES.flatMap((name) => {
        const value = this.#attributes.get(name) ?? undefined;
        return value === undefined ? [] : [readEntry(value, name).content];
      }),
      ...extra.map(({ content }) => content),
    ]);
    const found = new Map<number, TokenEntry>();
    for (const [content, value] of Object.entries(addedTokens)) {
      const source = "added_tokens.json";
      const id = asId(value, `the id of ${show(content)} in ${source}`);
      const isSpecial = special.has(content);
      setNumbered(found, id, { ...PLAIN, content, isNormalized: !isSpecial, isSpecial, source });
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
  return isToken(value) ? { ...value, special: true } : value;
}

function isOwnToken(key: string): boolean {
  return key.endsWith("_token") && !ATTRIBUTES.includes(key);
}

function isToken(value: unknown): value is Config {
  return typeof value === "object" && value !== null && typeof (value as Config).content === "string";
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null ||
    typeof value === "object" && Object.keys(value).length === 0;
}

function readEntries(value: unknown, what: string): TokenEntry[] {
  return asList(value ?? [], what).map((entry, i) => readEntry(entry, `${what}[${i}]`));
}

/** A token as its text, which is special then, or as an object. */
function readEntry(value: unknown, what: string): TokenEntry {
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
  };
}

function checkContent(content: string, what: string): string {
  if (content.length <= MAX_CONTENT) return content;
  return refuse(`${what} must have at most ${MAX_CONTENT} characters, got ${content.length}`);
}

/** `added_tokens_decoder` of tokenizer_config.json: tokens by id. */
function readDecoder(value: unknown): Map<number, TokenEntry> {
  const what = "added_tokens_decoder";
  const found = new Map<number, TokenEntry>();
  for (const [key, entry] of Object.entries(asConfig(value, what))) {
    const place = `${what}[${show(key)}]`;
    const id = asId(/^\d+$/.test(key) ? Number(key) : key, `the key ${show(key)} of ${what}`);
    setNumbered(found, id, { ...readEntry(asConfig(entry, place), place), source: what });
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}

/** `added_tokens` of tokenizer.json by id; those of a vocab.txt are its class's own. */
function fileTokens(file: Config): Map<number, TokenEntry> {
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

/** @throws {TokenizerError} if another token has the id. */
function setNumbered(found: Map<number, TokenEntry>, id: number, entry: TokenEntry): void {
  const other = found.get(id);
  if (other !== undefined && other.content !== entry.content) {
    refuse(
      `${entry.source} must give each token an id of its own, got ${id} for ${show(other.content)} and ${
        show(entry.content)
      }`,
    );
  }
  found.set(id, entry);
}

/** Tokens in the order in which they were added, each with its id. */
class AddedList {
  readonly #model: TokenModel;
  readonly #tokens = new Map<string, TokenEntry & { readonly id: number }>();
  readonly #owners = new Map<number, string>();
  #next: number;

  constructor(model: TokenModel) {
    this.#model = model;
    this.#next = model.size;
  }

  /** What has been added so far. */
  contents(): ReadonlySet<string> {
    return new Set(this.#tokens.keys());
  }

  /**
   * Adds a token, or gives one that is there other flags.
   *
   * @param said the id that a file says it has.
   * @throws {TokenizerError} if it must have another.
   */
  add(entry: TokenEntry, said?: number): void {
    const { content } = entry;
    if (content === "") return;
    const id = this.#tokens.get(content)?.id ?? this.#model.ids.get(content) ?? this.#next;
    if (said !== undefined && said !== id) {
      refuse(
        `${entry.source ?? "a file"} must give the token ${
          show(content)
        } the id ${id} by the vocabulary, got ${said}`,
      );
    }
    const owner = this.#owners.get(id);
    if (owner !== undefined && owner !== content) {
      refuse(`the tokens ${show(owner)} and ${show(content)} must have ids of their own, got ${id} for both`);
    }
    this.#owners.set(id, content);
    this.#tokens.set(content, { ...entry, id });
    this.#next = Math.max(this.#next, id + 1);
  }

  /**
   * The tokens, without those that a class has by default and the model has no embeddings for.
   *
   * @throws {TokenizerError} if it has none for another.
   */
  withinEmbeddings(rows: number | undefined): AddedToken[] {
    for (const [content, id] of this.#model.ids) {
      if (rows !== undefined && id >= rows) refuseRow(content, id, rows);
    }
    return [...this.#tokens.values()].filter(({ content, id, source }) => {
      if (source === undefined && !this.#model.ids.has(content)) return id < (rows ?? 0);
      return rows === undefined || id < rows || refuseRow(content, id, rows, source);
    });
  }
}

function refuseRow(content: string, id: number, rows: number, source = "the vocabulary"): never {
  return refuse(
    `token ${show(content)} (${source}) has id ${id}, and the model has embeddings for ${rows} tokens, ` +
      "as vocab_size of its config.json says; resize its embeddings, or take the token out",
  );
}
