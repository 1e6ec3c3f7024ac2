import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { CacheError } from "./errors.ts";

/**
 * The user's cache folder of this program: `$XDG_CACHE_HOME/federa`, or `~/.cache/federa` where that variable is
 * unset or relative (XDG Base Directory Specification).
 */
export function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return join(base && isAbsolute(base) ? base : join(homedir(), ".cache"), "federa");
}

/**
 * Writes a file so that every reader sees the old content or the new one, never a part: into a temporary file of
 * this process beside it, then by rename. Missing folders are made.
 *
 * @throws whatever the file system answers; nothing is left behind then.
 */
export async function writeFileAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}-${crypto.randomUUID()}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Runs a step that uses the cache and turns a refusal by the file system into a {@linkcode CacheError}. */
export async function withCacheErrors<T>(folder: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    const code = errorCode(cause);
    if (code === undefined || !REFUSALS.has(code)) throw cause;
    throw new CacheError(
      `Cannot use the cache folder ${folder}: ${code}; set XDG_CACHE_HOME to a folder that can be read and written`,
      { cause },
    );
  }
}

const REFUSALS = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "EEXIST", "EISDIR"]);

/** The `code` of a file system error, if it has one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
