import { openLocalFile } from "./model_file.ts";
import type { LocalModelFiles } from "./model_files.ts";

/** A model's files by name and path, without a way to open them. */
export type LocatedFiles = Omit<LocalModelFiles, "open">;

/** The files of a model on this machine, given their paths (Node only). */
export function localModelFiles(found: LocatedFiles): LocalModelFiles {
  const path = (name: string) => found.path(name);
  return {
    source: found.source,
    has: (name) => found.has(name),
    path,
    open: async (name) => {
      const place = await path(name);
      return place === undefined ? undefined : await openLocalFile(place);
    },
  };
}
