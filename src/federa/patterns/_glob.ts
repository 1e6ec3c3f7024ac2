/** Longest pattern that can match, in characters: nobody writes longer ones. */
export const LONGEST_PATTERN = 1000;

/** Stars that match parts of names, or a character that matches itself. */
type Token = "**." | "**" | "*" | { readonly literal: string };

/**
 * Whether a dotted module name matches a pattern: `*` matches one part of a name or a piece of it, `**` any number of
 * parts, every other character itself. A pattern of more than 1,000 characters matches nothing.
 *
 * The pattern's tokens are the states of a finite automaton, all of which are followed at once: time is at most the
 * product of the two lengths, whatever the stars.
 *
 * @example
 * ```ts
 * matchesPattern("encoder.layers.0.attention.qkv", "**.attention.*"); // true
 * ```
 */
export function matchesPattern(name: string, pattern: string): boolean {
  if (pattern.length > LONGEST_PATTERN) return false;
  const tokens = tokensOf(pattern);
  // State `2 i` is before token `i`; `2 i + 1` is inside the parts that a `**.` matches.
  let states = new Set<number>();
  enter(states, tokens, 0);
  for (const unit of name.split("")) {
    const next = new Set<number>();
    for (const state of states) step(next, tokens, { state, unit });
    if (next.size === 0) return false;
    states = next;
  }
  return states.has(2 * tokens.length);
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (const piece of pattern.match(/\*\*\.|\*\*|\*|[^]/g) ?? []) {
    const token = piece === "**." || piece === "**" || piece === "*" ? piece : { literal: piece };
    // Repeated stars match no more than one.
    if (typeof token === "object" || token !== tokens.at(-1)) tokens.push(token);
  }
  return tokens;
}

/** Adds the state before a token and those that are reached from there without a character. */
function enter(states: Set<number>, tokens: readonly Token[], index: number): void {
  for (let i = index; !states.has(2 * i); i++) {
    states.add(2 * i);
    const token = tokens[i];
    if (token === "**.") states.add(2 * i + 1);
    if (token === undefined || typeof token === "object") return;
  }
}

/** Adds the states that one character leads to. */
function step(
  next: Set<number>,
  tokens: readonly Token[],
  { state, unit }: { readonly state: number; readonly unit: string },
): void {
  const index = state >> 1;
  const token = tokens[index];
  if (state % 2 === 1) {
    next.add(state);
    if (unit === ".") enter(next, tokens, index + 1);
  } else if (token === "**" || (token === "*" && unit !== ".")) {
    enter(next, tokens, index);
  } else if (typeof token === "object" && token.literal === unit) {
    enter(next, tokens, index + 1);
  }
}
