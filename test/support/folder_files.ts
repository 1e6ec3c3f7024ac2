import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ModelFiles } from "../../src/data/mod.ts";

/** The files of a folder, as a model's. */
export function folderFiles(folder: string): ModelFiles {
  return {
    source: folder,
    has: async (name) => existsSync(join(folder, name)),
    path: async (name) => existsSync(join(folder, name)) ? join(folder, name) : undefined,
  };
}
