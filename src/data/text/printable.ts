/**
 * Characters that a terminal obeys instead of showing, or that mislead a reader: the C0 and C1 controls with DEL, the separators of
 * lines and paragraphs, marks that change the direction of what follows (CVE-2021-42574), and halves of surrogate pairs.
 */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\p{Cs}]/gu;

/** The same, where an end of line is meant. */
const UNPRINTABLE_IN_LINES = /[\u2028\u2029\u202a-\u202e\u2066-\u2069\p{Cs}]|(?!\n)\p{Cc}/gu;

const SHORT: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

/**
 * A text from elsewhere (a label, a file name, an answer of a server) for one line of a terminal: what would move the
 * cursor, change colours, begin a line or turn the direction becomes visible, as `\x1b` or `\u202e`; everything else
 * stays. Text that is printable already is left alone.
 *
 * @example
 * ```ts
 * printable("\u001b[31mham\n"); // "\\x1b[31mham\\n"
 * printable("naïve 日本 👩‍🔬"); // "naïve 日本 👩‍🔬"
 * ```
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, visible);
}

/**
 * As {@linkcode printable}, for a text of several lines, whose ends of line stay.
 *
 * @example
 * ```ts
 * printableLines("a\r\nb\u009b2J"); // "a\\r\nb\\x9b2J"
 * ```
 */
export function printableLines(text: string): string {
  return text.replace(UNPRINTABLE_IN_LINES, visible);
}

/**
 * JSON of a value that is safe to print: `JSON.stringify` leaves DEL, C1 controls and marks of direction as they are;
 * here they are escaped too, and read back as the same text.
 *
 * @param indent spaces a level; one line by default.
 */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNPRINTABLE_IN_LINES, unicodeEscape);
}

function visible(character: string): string {
  const code = character.charCodeAt(0);
  if (code > 0xff) return unicodeEscape(character);
  return SHORT[character] ?? `\\x${code.toString(16).padStart(2, "0")}`;
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
