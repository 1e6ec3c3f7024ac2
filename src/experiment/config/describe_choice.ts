import { printableJson } from "../../data/text/printable.ts";
import { nearestKey } from "../../data/text/nearest_key.ts";

/** What was expected of a choice, what was found, and what was meant perhaps. */
export function describeChoice(options: readonly string[], input: unknown): string {
  const nearest = typeof input === "string" ? nearestKey(input, options) : undefined;
  const hint = nearest ? `; did you mean "${nearest}"?` : "";
  return `expected ${listChoices(options)}, got ${show(input)}${hint}`;
}

/** Names to choose from. */
export function listChoices(options: readonly string[]): string {
  return options.map((option) => `"${option}"`).join(" or ");
}

/** A value as it stands in a configuration, cut short. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  // JSON has no word for numbers beyond the greatest.
  const text = typeof value === "number" ? String(value) : printableJson(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
