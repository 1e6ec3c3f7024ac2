import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { CacheError } from "./errors.ts";

/**
 * The user's cache folder of this program: `$XDG_CACHE_HOME/federa`, or `~/.cache/federa` where that variable is
 * unset or relative (XDG Base Directory Specification).
 */
export function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return join(base && isAbsolute(base) ? base : join(homedir(), ".cache"), "federa");
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

/** The `code` of a file system error or of its cause, if it has one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "code" in error && typeof error.code === "string" ? error.code : errorCode(error.cause);
}
