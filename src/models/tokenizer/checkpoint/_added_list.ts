import type { AddedToken } from "../added_tokens.ts";
import { refuse, show } from "../read_config.ts";
import type { TokenModel } from "../model/token_model.ts";
import type { TokenEntry } from "./_token_entry.ts";

/** Tokens in the order in which they were added, each with its id. */
export class AddedList {
  readonly #model: TokenModel;
  readonly #tokens = new Map<string, TokenEntry & { readonly id: number }>();
  readonly #owners = new Map<number, string>();
  #next: number;

  constructor(model: TokenModel) {
    this.#model = model;
    this.#next = model.size;
  }

  /** The tokens added so far. */
  contents(): ReadonlySet<string> {
    return new Set(this.#tokens.keys());
  }

  /**
   * Adds a token, or changes the flags of an existing one.
   *
   * @param stated the id that a file gives it.
   * @throws {TokenizerError} if it must have another.
   */
  add(entry: TokenEntry, stated?: number): void {
    const { content } = entry;
    if (content === "") return;
    const id = this.#tokens.get(content)?.id ?? this.#model.ids.get(content) ?? this.#next;
    if (stated !== undefined && stated !== id) {
      refuse(
        `${entry.source ?? "a file"} must give the token ${
          show(content)
        } the id ${id} by the vocabulary, got ${stated}`,
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
   * The tokens, without defaults of the class that the model has no embeddings for.
   *
   * @throws {TokenizerError} if the model has no embedding for another token.
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
      "as vocab_size of its config.json says; resize its embeddings, or remove the token",
  );
}
