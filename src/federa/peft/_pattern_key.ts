/** Escapes that mean the same in the regular expressions of Python and JavaScript. */
const sharedEscapes = /^(?:[^\\]|\\[.dDwWsSb\\/\-_^$*+?()[\]{}|])*$/;

/** Most repetitions in a pattern: each more may multiply the time to match by the length of a name. */
const maxRepetitions = 4;

/**
 * Why a key of `rank_pattern` or `alpha_pattern` isn't matched; undefined where it can be. Keys are regular expressions of
 * Python. One may be made to take for ever (repeated groups), or mean another thing in JavaScript.
 */
export function patternProblem(key: string): string | undefined {
  if (key.length > 1000) return `it may have 1000 characters, got ${key.length}`;
  if (!sharedEscapes.test(key) || key.includes("{,") || key.includes("(?P=")) return "it isn't understood";
  if (/\)[*+{]/.test(key)) return "it repeats a group";
  if ((key.match(/(?<!\()[*+?{]/g) ?? []).length > maxRepetitions) {
    return `it has more than ${maxRepetitions} repetitions`;
  }
  try {
    expressionOf(key);
  } catch {
    return "it isn't understood";
  }
  return undefined;
}

/** The value whose key is the first to match the end of a module's name, at its start or after a dot. */
export function matchPatterns<Value>(patterns: ReadonlyMap<string, Value>, name: string): Value | undefined {
  for (const [key, value] of patterns) if (expressionOf(key).test(name)) return value;
  return undefined;
}

function expressionOf(key: string): RegExp {
  return new RegExp(`^(?:.*\\.)?(?:${key.replaceAll("(?P<", "(?<")})$`);
}
