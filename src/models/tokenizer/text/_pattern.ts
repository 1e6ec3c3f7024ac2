import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { asConfig, asText, refuse, show } from "../read_config.ts";

const MAX_LENGTH = 1000;
/** An escape that is a character or a class in Oniguruma's syntax and in JavaScript's. */
const ESCAPE = String.raw`\\[^\p{L}\p{N}]|\\[dswDSWnrt]|\\[pP]\{\^?\w+\}`;
const ITEM = new RegExp(
  String.raw`(?<alternative>\|)|(?<spaces>\\s\+\(\?!\\S\))|` +
    String.raw`(?:[^\\[\](){}|?*+^$.]|${ESCAPE}|\[\^?(?:[^\\[\]&]|${ESCAPE})+\])` +
    String.raw`(?<quantifier>\{\d\d?(?<open>,\d*)?\}|(?<many>[*+])|\?)?`,
  "uy",
);
/** Of n optional characters in a row a pattern may try 2ⁿ choices. */
const MAX_OPTIONAL = 4;

/**
 * A pattern of a tokenizer's file, `{"String": …}` or `{"Regex": …}` (in Oniguruma's syntax), with the flags `gu`.
 *
 * @throws {TokenizerError} if it isn't one that JavaScript can run in bounded time.
 */
export function readPattern(value: unknown, what: string): RegExp {
  const config = asConfig(value, what);
  if (config.String !== undefined) {
    const text = asText(config.String, `${what}.String`);
    if (text === "") refuse(`${what}.String must not be empty`);
    return new RegExp(escapePattern(text), "gu");
  }
  const source = asText(config.Regex, `${what}.Regex`);
  if (source.length > MAX_LENGTH || !isQuick(source)) {
    refuse(
      `${what}.Regex must be short, of alternatives that repeat their last character or class alone, ` +
        `got ${show(source)}`,
    );
  }
  const pattern = compile(source);
  if (pattern === undefined || "".match(pattern) !== null) {
    return refuse(`${what}.Regex must be a pattern that matches at least one character, got ${show(source)}`);
  }
  return pattern;
}

/** A text as a pattern that matches it alone. */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/**
 * Whether a pattern takes time in proportion to the text: what is repeated without end is the end of its alternative,
 * so that every attempt either fails at once or takes in what it has read. Other patterns may take the age of the
 * universe on a text made for it.
 */
function isQuick(source: string): boolean {
  let optional = 0;
  let mustEnd = false;
  for (ITEM.lastIndex = 0; ITEM.lastIndex < source.length;) {
    const groups = ITEM.exec(source)?.groups;
    if (groups === undefined) return false;
    if (groups.alternative !== undefined) {
      optional = 0;
      mustEnd = false;
      continue;
    }
    if (mustEnd) return false;
    mustEnd = groups.spaces !== undefined || groups.many !== undefined || groups.open !== undefined;
    if (groups.quantifier === "?" && ++optional > MAX_OPTIONAL) return false;
  }
  return true;
}

function compile(source: string): RegExp | undefined {
  try {
    const config = {
      type: "Split",
      pattern: { Regex: source },
      behavior: "Isolated",
      invert: false,
    } as const;
    return new SplitPreTokenizer(config).pattern ?? undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
