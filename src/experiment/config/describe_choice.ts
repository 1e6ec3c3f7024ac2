import { printableJson } from "../../data/text/printable.ts";
import { nearestKey } from "../../data/text/nearest_key.ts";

/** Says which choices exist, what was given, and which choice was probably meant. */
export function describeChoice(options: readonly string[], input: unknown): string {
  const nearest = typeof input === "string" ? nearestKey(input, options) : undefined;
  const hint = nearest ? `; did you mean "${nearest}"?` : "";
  return `expected ${listChoices(options)}, got ${show(input)}${hint}`;
}

/** Names to choose from. */
export function listChoices(options: readonly string[]): string {
  return options.map((option) => `"${option}"`).join(" or ");
}

/** A value as written in a configuration, cut short. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  // JSON cannot write an infinite number.
  const text = typeof value === "number" ? String(value) : printableJson(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
