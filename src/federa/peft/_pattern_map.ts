import { excerpt } from "../../data/text/excerpt.ts";
import { compilePattern, type PythonPattern } from "./_python_pattern.ts";

/** Most keys, and most that are patterns rather than names: each takes time to compile and to match. */
const maxKeys = 10_000;
const maxPatterns = 256;

/** The values that a `rank_pattern` or `alpha_pattern` of PEFT gives to layers. */
export interface PatternMap<Value> {
  /** The value whose key is the first to match the end of a layer's name, at its start or after a dot. */
  get(name: string): Value | undefined;
}

/**
 * Reads a map whose keys are regular expressions of Python's, matched as PEFT does: `re.match(rf"(.*\.)?({key})$", name)`.
 *
 * @throws {SyntaxError} naming the key that isn't understood.
 */
export function readPatternMap<Value>(fields: Readonly<Record<string, Value>>): PatternMap<Value> {
  const entries: (readonly [PythonPattern["matches"], Value])[] = [];
  let patterns = 0;
  const all = Object.entries(fields);
  if (all.length > maxKeys) throw new SyntaxError(`it may have at most ${maxKeys} keys, got ${all.length}`);
  for (const [key, value] of all) {
    if (/^[\w.-]+$/.test(key)) entries.push([(name) => endsWith(name, key), value]);
    else {
      if (++patterns > maxPatterns) {
        throw new SyntaxError(`it may have at most ${maxPatterns} keys that are patterns`);
      }
      entries.push([compileKey(key), value]);
    }
  }
  return { get: (name) => entries.find(([matches]) => matches(name))?.[1] };
}

function compileKey(key: string): PythonPattern["matches"] {
  try {
    return compilePattern(key, { around: ["(?:.*\\.)?", ""] }).matches;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new SyntaxError(`${excerpt(key)}: ${cause.message}`, { cause });
  }
}

/** Whether a name ends with a key, at its start or after a dot; a dot of the key matches any character. */
function endsWith(name: string, key: string): boolean {
  const start = name.length - key.length;
  if (start < 0 || start > 0 && name[start - 1] !== ".") return false;
  for (let i = 0; i < key.length; i++) {
    if (key[i] !== name[start + i] && (key[i] !== "." || name[start + i] === "\n")) return false;
  }
  return true;
}
