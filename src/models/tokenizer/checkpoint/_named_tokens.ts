import type { AddedToken } from "../added_tokens.ts";
import { refuse, show } from "../read_config.ts";
import type { TokenModel } from "../model/token_model.ts";
import { AddedList } from "./_added_list.ts";
import type { SpecialTokens } from "./_class_tokens.ts";
import { NamedEntries, type TokenFiles } from "./_named_entries.ts";
import { asSpecialEntry, fileTokens, type TokenEntry } from "./_token_entry.ts";

/** Options of {@linkcode readNamedTokens}. */
export interface NamedTokensOptions {
  /** Special tokens that the class has where no file names any, by what they are for. */
  readonly defaults: Readonly<Record<string, string>>;
  /** Whether the class begins with the vocabulary alone, so that only what is named here becomes a token. */
  readonly startsAnew: boolean;
  /** Rows of the model's embeddings, if known. */
  readonly numEmbeddings?: number | undefined;
}

/** The tokens beyond a vocabulary. */
export interface NamedTokens {
  readonly added: readonly AddedToken[];
  /** Tokens by what they are for, such as `pad_token`. */
  readonly special: SpecialTokens;
}

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
  const special = named.special(defaults);
  const contents = new Set([...special.values()].map(({ content }) => content));
  const add = (entry: TokenEntry, id?: number) =>
    list.add(contents.has(entry.content) ? asSpecialEntry(entry) : entry, id);
  for (const [id, entry] of named.numbered) add(entry, id);
  const before = list.contents();
  for (const entry of [...special.values(), ...named.extra]) if (!before.has(entry.content)) add(entry);
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
