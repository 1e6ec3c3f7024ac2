/**
 * Text of a value as Python's `json.dumps` writes it, with spaces behind commas and colons and everything past ASCII escaped:
 * objects are named by a hash of their bytes, so a difference in spelling would send an array twice.
 *
 * @param value strings, whole numbers, lists, and objects as Maps, which keep their order.
 *
 * @example
 * ```ts
 * pythonJson(new Map([["poids-é", [1, 2]]])); // '{"poids-\\u00e9": [1, 2]}'
 * ```
 */
export function pythonJson(value: PythonJson): string {
  if (value instanceof Map) {
    return `{${[...value].map(([key, each]) => `${pythonJson(key)}: ${pythonJson(each)}`).join(", ")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  // Each half of a pair of surrogates is escaped by itself, as in Python.
  return JSON.stringify(value).replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What {@linkcode pythonJson} writes. */
export type PythonJson = string | number | readonly PythonJson[] | ReadonlyMap<string, PythonJson>;

/**
 * Reads a flat JSON object of strings in the order of its text, which JSON.parse changes where names look like numbers.
 *
 * @returns undefined if the text is anything else, or has a name twice.
 */
export function parseFlatJson(text: string): Map<string, string> | undefined {
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  try {
    if (!isObject(JSON.parse(text))) return undefined;
  } catch {
    return undefined;
  }
  // The text is JSON, so this finds its parts: strings, and signs and other values around them.
  const parts = text.match(/"(?:[^"\\]|\\.)*"|[^\s"]/g)!;
  const entries = new Map<string, string>();
  for (let i = 1; i < parts.length - 1; i += 4) {
    const [key, colon, value] = parts.slice(i, i + 3);
    if (colon !== ":" || !value?.startsWith('"')) return undefined;
    entries.set(JSON.parse(key!), JSON.parse(value));
  }
  return entries.size === Math.floor(parts.length / 4) ? entries : undefined;
}
