import { openLocalFile } from "./model_file.ts";
import type { LocalModelFiles } from "./model_files.ts";

/** What is known of a model's files before one is opened. */
export type LocatedFiles = Omit<LocalModelFiles, "open">;

/** The files of a model, given where they lie on this machine (Node only). */
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
