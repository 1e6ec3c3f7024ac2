import { printable, printableJson } from "./printable.ts";

/**
 * A value of a file for a message, cut short: a hostile one may be a hundred megabytes long, or nested without end.
 * Control characters are escaped.
 *
 * @example
 * ```ts
 * excerpt(["a", { b: 1 }]); // '["a", an object]'
 * ```
 */
export function excerpt(value: unknown): string {
  return show(value, 2);
}

function show(value: unknown, depth: number): string {
  if (typeof value === "string") return printableJson(beginning(value));
  if (Array.isArray(value)) {
    if (depth === 0) return "a list";
    const items = value.slice(0, 8).map((item) => show(item, depth - 1));
    return `[${items.join(", ")}${value.length > 8 ? ", …" : ""}]`;
  }
  if (value instanceof Date) return "a date";
  if (value instanceof Uint8Array) return "bytes";
  if (typeof value === "object" && value !== null) return "an object";
  return value === undefined ? "nothing" : String(value);
}

/** The beginning of a text of a file, for a message, and a sign that it goes on; printable. */
export function cut(text: string): string {
  return printable(beginning(text));
}

function beginning(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60).replace(/\p{Cs}$/u, "")}…` : text;
}

/**
 * Names for a message: quoted and cut short, some of them where there are many. A file may name a hundred thousand labels.
 *
 * @param most how many are written out; 12 by default.
 *
 * @example
 * ```ts
 * excerptOfNames(["ham", "spam"]); // '"ham", "spam"'
 * excerptOfNames(["a", "b", "c", "d"], 2); // '"a", "b" and 2 more'
 * ```
 */
export function excerptOfNames(names: readonly string[], most = 12): string {
  const shown = names.slice(0, most).map(excerpt).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
