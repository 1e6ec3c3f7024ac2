/** A web address from its scheme on; `*` and `^` for the parts are single, so matching takes linear time. */
const ADDRESS = /\b([a-z][a-z0-9+.-]{0,30}:\/\/)([^\s"'<>\\]+)/gi;

/** Tokens of hubs, registries and others by their prefixes, and whatever follows a word that announces one. */
const TOKEN =
  /\b(?:hf|npm|gh[a-z]|github_pat)_[A-Za-z0-9_]{8,}|\b(bearer|basic)\s+[^\s"',;]+|(_auth(?:token)?|password|token)(["']?\s*[=:]\s*["']?)[^\s"',;&]+/gi;

/**
 * A text of a server or a program for a message, without credentials: user names, passwords, queries (which may hold
 * signatures) and fragments of web addresses, and tokens.
 *
 * @example
 * ```ts
 * redact("see https://ada:secret@hub.example/x?sig=1"); // "see https://…@hub.example/x?…"
 * ```
 */
export function redact(text: string): string {
  return text.replace(ADDRESS, (_, scheme: string, rest: string) => scheme + redactAddress(rest))
    .replace(
      TOKEN,
      (_, word?: string, key?: string, between?: string) =>
        key !== undefined ? `${key}${between}…` : word !== undefined ? `${word} …` : "…",
    );
}

function redactAddress(rest: string): string {
  const end = rest.search(/[/?#]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const path = end < 0 ? "" : rest.slice(end);
  // A password with a slash in it ends the part that looks like the host.
  if (!authority.includes("@") && !/^(?:[\w.-]*|\[[^\]]*\])(?::\d*)?$/.test(authority)) return "…";
  const user = authority.lastIndexOf("@");
  const query = path.search(/[?#]/);
  return (user < 0 ? authority : `…${authority.slice(user)}`) +
    (query < 0 ? path : `${path.slice(0, query + 1)}…`);
}
