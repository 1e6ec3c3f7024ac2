/**
 * A value of a file for a message, cut short: a hostile one may be a hundred megabytes long, or nested without end.
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
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (Array.isArray(value)) {
    if (depth === 0) return "a list";
    const items = value.slice(0, 8).map((item) => show(item, depth - 1));
    return `[${items.join(", ")}${value.length > 8 ? ", …" : ""}]`;
  }
  if (typeof value === "object" && value !== null) return "an object";
  return value === undefined ? "nothing" : String(value);
}

/** The beginning of a text, and a sign that it goes on. */
export function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
