import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { makeFolder } from "../../src/data/files/write_file.ts";
import type { LocalModelFiles } from "../../src/hub/mod.ts";
import { folderFiles } from "./folder_files.ts";

/** A new folder that is removed after the tests of this file, or of this suite. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "federa-test-"));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The files of a model, in a folder that goes with the tests of this file; objects are written as JSON. */
export async function temporaryFiles(
  contents: Readonly<Record<string, Uint8Array | string | object>>,
): Promise<LocalModelFiles> {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(contents)) {
    const path = join(folder, name);
    await makeFolder(dirname(path));
    const isRaw = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(path, isRaw ? content : JSON.stringify(content));
  }
  return folderFiles(folder);
}
