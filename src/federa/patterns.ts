import { listLayers, nearestPattern } from "./_nearest_pattern.ts";
import { Linear, type Module } from "../engine/mod.ts";

/** A name pattern matches no linear layer of the model. */
export class PatternError extends Error {
  override name = "PatternError";
}

/**
 * Whether a dotted module name matches a pattern: `*` stands for one part of a name or a piece of it, `**` for any
 * number of parts.
 *
 * @example
 * ```ts
 * matchesPattern("encoder.layers.0.attention.qkv", "**.attention.*"); // true
 * ```
 */
export function matchesPattern(name: string, pattern: string): boolean {
  const source = pattern.split(/(\*\*\.|\*\*|\*)/).map((part) => {
    if (part === "**.") return "(?:.*\\.)?";
    if (part === "**") return ".*";
    return part === "*" ? "[^.]*" : part.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  }).join("");
  return new RegExp(`^${source}$`).test(name);
}

/**
 * Names of the linear layers that one of the patterns matches, in model order.
 *
 * @throws {PatternError} when there is no pattern, or one matches no layer; the message lists the linear layers there
 *   are and the nearest pattern that matches.
 */
export function matchLinears(model: Module, patterns: readonly string[]): string[] {
  const names = [...model.namedModules()].flatMap(([name, module]) => module instanceof Linear ? [name] : []);
  if (patterns.length === 0) {
    throw new PatternError(`Cannot attach adapters to no pattern: there are ${listLayers(names)}`);
  }
  for (const pattern of patterns) {
    if (!names.some((name) => matchesPattern(name, pattern))) {
      const nearest = nearestPattern(pattern, names, matchesPattern);
      throw new PatternError(
        `Cannot attach adapters to "${pattern}": it matches no linear layer; there are ${listLayers(names)}${
          nearest === undefined ? "" : `; did you mean "${nearest}"?`
        }`,
      );
    }
  }
  return names.filter((name) => patterns.some((pattern) => matchesPattern(name, pattern)));
}
