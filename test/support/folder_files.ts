import { existsSync } from "node:fs";
import { join } from "node:path";
import { type LocalModelFiles, localModelFiles } from "../../src/hub/mod.ts";

/** The files of a folder, as a model's. */
export function folderFiles(folder: string): LocalModelFiles {
  return localModelFiles({
    source: folder,
    has: async (name) => existsSync(join(folder, name)),
    path: async (name) => existsSync(join(folder, name)) ? join(folder, name) : undefined,
  });
}
