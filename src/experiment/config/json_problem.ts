/** What is wrong with a text that should be JSON, and where. */
export interface JsonProblem {
  /** 1-based. */
  readonly line: number;
  readonly message: string;
}

const BLANK = /[ \t\r\n]*/y;
// deno-lint-ignore no-control-regex -- JSON allows none of them in a string
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const WORD = /[^\s,:[\]{}"]{1,20}/y;

/** What may come next; the first one of a list or an object may be its end. */
type Next = "value" | "first value" | "key" | "first key" | "separator";

/**
 * Finds the first thing wrong with JSON that a person wrote: a syntax error, or a key that an object has twice, of which
 * `JSON.parse` silently drops one. Returns undefined if nothing is wrong.
 *
 * @example
 * ```ts
 * findJsonProblem('{"rounds": 1,\n "rounds": 2}'); // { line: 2, message: 'the key "rounds" is there twice: leave one out' }
 * ```
 */
export function findJsonProblem(text: string): JsonProblem | undefined {
  /** The keys of the objects around, undefined for a list. */
  const around: (Set<string> | undefined)[] = [];
  let at = 0;
  let next: Next = "value";
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const problem = (message: string): JsonProblem => ({
    line: text.slice(0, at).split("\n").length,
    message,
  });
  for (;;) {
    take(BLANK);
    const character = text[at];
    if (next === "separator" && around.length === 0) {
      if (character === undefined) return undefined;
      return problem(isComment(text, at) ? COMMENT : "more follows after its end");
    }
    if (character === undefined) return problem(TOO_SHORT);
    if (next === "separator") {
      const object = around.at(-1) !== undefined;
      if (character === (object ? "}" : "]")) around.pop();
      else if (character === ",") next = object ? "key" : "value";
      else return problem(unexpected(text, at, `a comma or ${object ? "}" : "]"}`));
      at++;
    } else if (next === "key" || next === "first key") {
      if (character === "}") {
        if (next === "key") return problem(TRAILING);
        around.pop();
        at++;
        next = "separator";
        continue;
      }
      const start = at;
      const written = take(STRING);
      if (written === undefined) return problem(unexpected(text, at, "a key in double quotation marks"));
      const key = JSON.parse(written) as string;
      const keys = around.at(-1)!;
      if (keys.has(key)) {
        at = start;
        return problem(`the key ${short(written)} is there twice: leave one out`);
      }
      keys.add(key);
      take(BLANK);
      if (text[at] !== ":") return problem(unexpected(text, at, `a colon after ${short(written)}`));
      at++;
      next = "value";
    } else if (character === "{" || character === "[") {
      around.push(character === "{" ? new Set() : undefined);
      at++;
      next = character === "{" ? "first key" : "first value";
    } else if (character === "]" && around.length > 0 && around.at(-1) === undefined) {
      if (next !== "first value") return problem(TRAILING);
      around.pop();
      at++;
      next = "separator";
    } else {
      if (take(STRING) === undefined && take(SCALAR) === undefined) {
        return problem(unexpected(text, at, "a value"));
      }
      next = "separator";
    }
  }
}

const COMMENT = "JSON has no comments: leave this one out";
const TRAILING = "a comma stands after the last entry: leave it out";
const TOO_SHORT = "it ends before its last bracket";

function isComment(text: string, at: number): boolean {
  return text[at] === "#" || text.startsWith("//", at) || text.startsWith("/*", at);
}

/** Says what was expected at a place, or names the habit from another notation that caused the mistake. */
function unexpected(text: string, at: number, expected: string): string {
  const character = text[at];
  if (character === undefined) return TOO_SHORT;
  if (isComment(text, at)) return COMMENT;
  if (character === '"' && expected !== "a comma or }" && expected !== "a comma or ]") {
    return "a text has no closing quotation mark in its line, or an odd backslash (write \\\\ for one)";
  }
  WORD.lastIndex = at;
  return `expected ${expected}, got ${short(WORD.exec(text)?.[0] ?? character)}`;
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
