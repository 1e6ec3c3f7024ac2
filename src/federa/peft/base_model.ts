import { dirname } from "node:path";
import type { LocalModelFiles } from "../../hub/files/model_files.ts";

/** A model as one names it to `transformers`. */
export interface BaseModel {
  /** `owner/name` on the hub, or a path. */
  readonly name: string;
  /** The commit, on the hub. */
  readonly revision?: string | undefined;
}

/**
 * What `transformers` needs to load a model from the same place: its name and commit on the hub, else the path of
 * its folder on this machine.
 *
 * @throws {TypeError} when the model has no `config.json` to be found by.
 */
export async function baseModelOf(files: LocalModelFiles): Promise<BaseModel> {
  const [, name, revision] = /^hf:([^@]+)(?:@(.+))?$/.exec(files.source) ?? [];
  if (name !== undefined) return { name, revision };
  const config = await files.path("config.json");
  if (config === undefined) {
    throw new TypeError(`Cannot tell where ${files.source} is: it has no config.json`);
  }
  return { name: dirname(config) };
}
