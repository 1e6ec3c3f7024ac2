import { errorCode } from "./cache_folder.ts";

/** What people can do where it isn't plain from the system's words. */
const advice: Readonly<Record<string, string>> = {
  ENOSPC: "make room",
  EDQUOT: "make room",
  EEXIST: "there is a file of that name, name another",
  ENAMETOOLONG: "take a shorter name",
  EMFILE: "close other files, or raise the limit with ulimit -n",
  ENOMEM: "free some memory",
};

/**
 * The words of a system's error, and what to do about it.
 *
 * @example
 * ```ts no-run
 * describeCause(error); // "ENOSPC: no space left on device, write; make room"
 * ```
 */
export function describeCause(cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const hint = advice[errorCode(cause) ?? ""];
  return hint === undefined ? reason : `${reason}; ${hint}`;
}
