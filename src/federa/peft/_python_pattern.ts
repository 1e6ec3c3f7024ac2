import { RE2JS } from "re2js";

/** A regular expression of Python's `re`, compiled. */
export interface PythonPattern {
  /** Whether a whole name matches, as by `re.fullmatch`. */
  matches(name: string): boolean;
  /** The text that a group took where the pattern matches the beginning of a name, as by `re.match`. */
  groupAtStart(name: string, group: string): string | undefined;
}

/** Options of {@linkcode compilePattern}. */
export interface CompilePatternOptions {
  /** Text before and after the pattern, which is a group of its own. */
  readonly around?: readonly [before: string, after: string];
}

/** The longest pattern, in characters. */
const maxLength = 1000;

/** The most characters of a pattern with its counted repetitions, as `{3}`, written out: a matcher grows with them. */
const maxWrittenOut = 20_000;

/** Tokens of a pattern that mean the same in Python and RE2; only in Python may counts lack their lower bound. */
const tokens = new RegExp(
  [
    /(?<group>\((?:\?:|\?P<[A-Za-z_]\w*>|(?!\?)))/,
    /(?<repeat>(?:[*+?]|\{(?!\})(?<from>\d{0,4})(?:,(?<to>\d{0,4}))?\})\??)/,
    /(?<place>[$^]|\\[Ab])/,
    /(?<end>\\Z)/,
    /(?<set>\[\^?(?:\\[dDsSwW]|\\[^A-Za-z0-9]|[^\\[\]^]))/,
    /(?<bar>\|)/,
    /(?<atom>[^\\[(){*+?|^$]|\)|\\[dDsSwW]|\\[^A-Za-z0-9])/,
  ].map(({ source }) => source).join("|"),
  "suy",
);

/** The rest of a set of characters, up to its closing bracket. */
const restOfSet = /(?:\\[dDsSwW]|\\[^A-Za-z0-9]|[^\\[\]])*\]/suy;

/**
 * Compiles a regular expression of Python for matching in time linear in the name. Patterns come from files, and a hostile one
 * can keep a backtracking engine busy for ever.
 *
 * A pattern is refused if its syntax differs between Python and RE2, or RE2 doesn't support it (lookaround, back-references,
 * flags).
 *
 * @throws {SyntaxError} saying why it isn't compiled.
 */
export function compilePattern(source: string, options: CompilePatternOptions = {}): PythonPattern {
  if (source.length > maxLength) {
    throw new SyntaxError(`it may have at most ${maxLength} characters, got ${source.length}`);
  }
  const [before, after] = options.around ?? ["", ""];
  let expression: RE2JS;
  try {
    expression = RE2JS.compile(`${before}(?:${toRe2(source)})${after}`);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw cause;
    throw new SyntaxError("it isn't understood", { cause });
  }
  return {
    matches: (name) => expression.testExact(name),
    groupAtStart(name, group) {
      const matcher = expression.matcher(name);
      return matcher.lookingAt() ? matcher.group(group) ?? undefined : undefined;
    },
  };
}

/** The pattern as RE2 writes it. */
function toRe2(source: string): string {
  let written = "";
  let copies = 1;
  // Whether a repetition may follow: Python allows none after nothing, an anchor or a repetition.
  let repeatable = false;
  for (let at = 0; at < source.length;) {
    tokens.lastIndex = at;
    const { 0: token = "", groups: found = {} } = tokens.exec(source) ?? {};
    if (token === "") throw new SyntaxError(`it isn't understood at character ${at + 1}`);
    at += token.length;
    if (found["repeat"] !== undefined) {
      if (!repeatable) throw new SyntaxError(`there is nothing to repeat at character ${at}`);
      copies *= Math.max(1, Number(found["to"] || found["from"] || 1));
      if (copies * source.length > maxWrittenOut) throw new SyntaxError("it repeats too much");
      written += found["from"] === "" ? token.replace("{", "{0") : token;
    } else if (found["set"] !== undefined) {
      restOfSet.lastIndex = at;
      const rest = restOfSet.exec(source)?.[0];
      if (rest === undefined) throw new SyntaxError(`it isn't understood at character ${at}`);
      at += rest.length;
      written += token + rest;
    } else written += found["end"] === undefined ? token : "\\z";
    repeatable = found["atom"] !== undefined || found["set"] !== undefined;
  }
  return written;
}
