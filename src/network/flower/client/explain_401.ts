/** Seconds by which a node's clock may be ahead of a SuperLink's, and behind it. */
const AHEAD = 5;
const BEHIND = 305;

/**
 * Says why a SuperLink may not have accepted a signature, of which it gives no reason.
 *
 * @param sent when the request was sent, and `answered` when its answer came, in milliseconds since 1970.
 * @param date the `date` header of the answer.
 *
 * @example
 * ```ts
 * const noon = Date.UTC(2026, 0, 1, 12);
 * explain401(noon, noon, "Thu, 01 Jan 2026 11:00:00 GMT").slice(0, 49); // "this machine's clock is 3600 s ahead of the serve"
 * ```
 */
export function explain401(sent: number, answered: number, date: string | undefined): string {
  const theirs = Date.parse(date ?? "");
  if (Number.isNaN(theirs)) {
    return "the server does not say what time it has: check this machine's clock, and whether the node's key is registered";
  }
  // The header counts whole seconds.
  const ahead = ((sent + answered) / 2 - (theirs + 500)) / 1000;
  const apart = `${Math.abs(ahead).toFixed(0)} s ${ahead > 0 ? "ahead of" : "behind"} the server's`;
  if (ahead > AHEAD || ahead < -BEHIND) {
    return `this machine's clock is ${apart}, and it may be ${AHEAD} s ahead to ${BEHIND} s behind: set the clock`;
  }
  return `the clocks agree (this one is ${apart}), so the server does not know the node's key, or knows another node by it: it was ` +
    "unregistered, or the server was started anew";
}
