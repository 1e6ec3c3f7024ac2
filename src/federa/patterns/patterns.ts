import { excerpt } from "../../data/text/excerpt.ts";
import { Linear, type Module } from "../../engine/mod.ts";
import { nearestPattern, shapeOf } from "./_nearest_pattern.ts";
import { LONGEST_PATTERN, matchesPattern } from "./_glob.ts";
import { FederaError } from "../../engine/errors.ts";

export { matchesPattern } from "./_glob.ts";

/** A name pattern matches no linear layer of the model. */
export class PatternError extends FederaError {
  override name = "PatternError";
}

/**
 * Names of the linear layers that one of the patterns matches, in model order.
 *
 * @throws {PatternError} as {@linkcode matchNames}.
 */
export function matchLinears(model: Module, patterns: readonly string[]): string[] {
  const linears = [...model.namedModules()].filter(([, module]) => module instanceof Linear);
  return matchNames(linears.map(([name]) => name), patterns);
}

/** What {@linkcode matchNames} says of its names when a pattern matches none. */
export interface MatchNamesOptions {
  /** What can't be done then; `attach adapters to` by default. */
  readonly action?: string;
  /** What the names are of, `linear layer` by default. */
  readonly names?: string;
}

/**
 * The names of linear layers that one of the patterns matches, in their order.
 *
 * @throws {PatternError} when there is no pattern, one is longer than 1,000 characters, or one matches no name; the message
 *   suggests the nearest pattern that does, and lists the names, with `*` for their numbers.
 *
 * @example
 * ```ts
 * matchNames(["layers.0.query", "layers.0.key", "head"], ["layers.*.query"]); // ["layers.0.query"]
 * ```
 */
export function matchNames(
  names: readonly string[],
  patterns: readonly string[],
  options: MatchNamesOptions = {},
): string[] {
  const { action = "attach adapters to" } = options;
  if (patterns.length === 0) {
    throw new PatternError(
      `Cannot attach adapters without a pattern: the linear layers are ${describeNames(names)}`,
    );
  }
  const matched = new Set<string>();
  for (const pattern of patterns) {
    if (pattern.length > LONGEST_PATTERN) {
      throw new PatternError(
        `Cannot ${action} ${
          excerpt(pattern)
        }: a pattern may have at most ${LONGEST_PATTERN} characters, got ${pattern.length}`,
      );
    }
    const found = names.filter((name) => matchesPattern(name, pattern));
    if (found.length === 0) throw new PatternError(describeMismatch(pattern, names, options));
    for (const name of found) matched.add(name);
  }
  return names.filter((name) => matched.has(name));
}

function describeMismatch(
  pattern: string,
  names: readonly string[],
  { action = "attach adapters to", names: what = "linear layer" }: MatchNamesOptions,
): string {
  const nearest = nearestPattern(pattern, names);
  const offer = nearest === undefined ? "" : `; did you mean "${nearest}"?`;
  return `Cannot ${action} ${excerpt(pattern)}: it matches no ${what}; the ${
    what.replace("layer", "layers")
  } are ${describeNames(names)}${offer}`;
}

/** Names with `*` for their numbers, each once: a model has the same few in every layer. */
function describeNames(names: readonly string[]): string {
  const shapes = [...new Set(names.map(shapeOf))];
  const shown = shapes.slice(0, 20).join(", ");
  return shapes.length > 20 ? `${shown} and ${shapes.length - 20} more` : shown || "none";
}
