import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Writes a file whole or not at all (Node only): into a temporary file of the same folder, flushed to the disk, then
 * renamed. A reader sees the old content or the new one; an interrupted or failed write leaves the old one.
 *
 * @throws {Error} naming the path, with the system's error as its cause, if the folder is missing or cannot be
 *   written, or the disk is full
 *
 * @example
 * ```ts no-run
 * await writeFileAtomic("runs/adapter.safetensors", encodeSafetensors(tensors));
 * ```
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot write ${path} in folder ${dirname(path)}: ${reason}`, { cause });
  }
}

/**
 * Makes a folder and the folders above it, where they are missing (Node only). Unlike `mkdir` with `recursive`, which
 * tries for ever where a file system such as /proc refuses new folders by saying that the path is missing.
 *
 * @throws what the file system answers.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path).catch((second) => {
      // Another process may have made it in between.
      if (second.code !== "EEXIST") throw second;
    });
  }
}
