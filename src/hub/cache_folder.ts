import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import process from "node:process";
import { errorCode } from "../data/files/error_code.ts";
import { CacheError, HubError, PackageUnavailableError } from "./errors.ts";

/**
 * The user's cache folder of this program: `$XDG_CACHE_HOME/federa`, or `~/.cache/federa` where that variable is
 * unset or relative (XDG Base Directory Specification).
 */
export function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return join(base && isAbsolute(base) ? base : join(homedir(), ".cache"), "federa");
}

/** Options of {@linkcode withCacheErrors}. */
export interface CacheErrorsOptions {
  /** The environment variable that moves the cache, for the message; `XDG_CACHE_HOME` by default. */
  variable?: string;
}

/**
 * Runs a step that uses a cache and turns a refusal by the file system into a {@linkcode CacheError}. Errors
 * of a network or a program pass through, whatever the system called their cause.
 */
export async function withCacheErrors<T>(
  folder: string,
  step: () => Promise<T>,
  options: CacheErrorsOptions = {},
): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    const code = errorCode(cause);
    const isTold = cause instanceof HubError || cause instanceof PackageUnavailableError ||
      cause instanceof CacheError;
    if (isTold || code === undefined || !REFUSALS.has(code)) throw cause;
    const advice = code === "ENOSPC" || code === "EDQUOT" ? "free some space, or set" : "set";
    throw new CacheError(
      `Cannot use the cache folder ${folder}: ${code}; ${advice} ${
        options.variable ?? "XDG_CACHE_HOME"
      } to a folder that can be read and written`,
      { cause },
    );
  }
}

const REFUSALS = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "EEXIST", "EISDIR"]);
