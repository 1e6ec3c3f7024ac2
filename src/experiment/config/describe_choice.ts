import { printableJson } from "../../data/text/printable.ts";
import { nearestKey } from "../../data/text/nearest_key.ts";

/** What was expected of a choice, what was found, and what was meant perhaps. */
export function describeChoice(options: readonly string[], input: unknown): string {
  const nearest = typeof input === "string" ? nearestKey(input, options) : undefined;
  const hint = nearest ? `; did you mean "${nearest}"?` : "";
  return `expected ${options.map((option) => `"${option}"`).join(" or ")}, got ${show(input)}${hint}`;
}

/** A value as it stands in a configuration, cut short. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  // JSON has no word for numbers beyond the greatest.
  const text = typeof value === "number" ? String(value) : printableJson(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
