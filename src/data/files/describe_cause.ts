import { errorCode } from "./error_code.ts";

/** Advice for errors whose system message doesn't make the remedy clear. */
const advice: Readonly<Record<string, string>> = {
  ENOSPC: "free some space",
  EDQUOT: "free some space",
  EEXIST: "a file of that name exists, choose another",
  ENAMETOOLONG: "choose a shorter name",
  EMFILE: "close other files, or raise the limit with ulimit -n",
  ENOMEM: "free some memory",
};

/**
 * The message of a system's error, and what to do about it.
 *
 * @example
 * ```ts no-run
 * describeCause(error); // "ENOSPC: no space left on device, write; free some space"
 * ```
 */
export function describeCause(cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const hint = advice[errorCode(cause) ?? ""];
  return hint === undefined ? reason : `${reason}; ${hint}`;
}
