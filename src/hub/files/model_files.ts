import type { ModelFile } from "./model_file.ts";

/**
 * The files of one model, wherever they come from. A file is fetched when it is first asked for, whole and checked, so
 * that files which a model lacks or a program doesn't need cost nothing.
 */
export interface ModelFiles {
  /** Where they come from, for messages and records: a path, `hf:owner/name@commit` or `npm:package@version`. */
  readonly source: string;
  /** Whether the model has a file of that name; fetches nothing. */
  has(name: string): Promise<boolean>;
  /**
   * Opens a file, such as `config.json`, which the caller closes; undefined if the model has none of that name.
   *
   * @throws the source's own errors when the file exists and isn't available.
   */
  open(name: string): Promise<ModelFile | undefined>;
}

/** The files of a model that are on this machine once they are fetched. */
export interface LocalModelFiles extends ModelFiles {
  /**
   * Path on this machine of a file, such as `config.json`; undefined if the model has none of that name.
   *
   * @throws the source's own errors when the file exists and isn't available.
   */
  path(name: string): Promise<string | undefined>;
}
