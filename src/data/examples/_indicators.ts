import { CorruptFileError } from "../errors.ts";
import type { RowSet } from "../rows/row_set.ts";

/** A text that is such a list, as JSON or Python writes it. */
const TEXT = /^\s*\[\s*(?:(?:[01](?:\.0*)?|true|false)\s*(?:,\s*|(?=\])))+\]\s*$/i;

/**
 * Names of the labels for which each list of a column has a 1 or 0, true or false; undefined if the lists are of anything else. That
 * they aren't the numbers of the labels that apply is known from their equal lengths, and from a list that no set of numbers is
 * written as, such as `[0, 0, 1]`.
 *
 * @param names those of the labels, in their order; by default 0, 1 and so on.
 * @throws {CorruptFileError} naming the first row, if there are as many names as numbers.
 */
export function indicatorNames(
  set: RowSet,
  column: string,
  names: readonly string[] | undefined,
): readonly string[] | undefined {
  if (set.classNames.has(column)) return undefined;
  let length: number | undefined;
  let isCertain = false;
  let first = -1;
  for (const [i, row] of set.rows.entries()) {
    const value = Object.hasOwn(row, column) ? row[column] : undefined;
    if (value === null || value === undefined || value === "") continue;
    const list = typeof value === "string" && TEXT.test(value) ? listOf(value) : value;
    if (!Array.isArray(list) || list.length < 2 || list.length !== (length ??= list.length)) return undefined;
    if (!list.every(isIndicator)) return undefined;
    if (first < 0) first = i;
    isCertain ||= list.some((item, j) => typeof item === "boolean" || j > 0 && item <= list[j - 1]);
  }
  if (length === undefined || !isCertain) return undefined;
  names ??= Array.from({ length }, (_, i) => String(i));
  if (names.length === length) return names;
  throw new CorruptFileError(
    `Cannot read ${
      set.place(first)
    }: column ${column} has 1 or 0 for each of ${length} labels, but ${names.length} are named`,
  );
}

/** Whether an item says that a label applies. */
export function isIndicator(item: unknown): boolean {
  return item === 0 || item === 1 || typeof item === "boolean";
}

/** The indicators of a text that {@linkcode TEXT} matches. */
function listOf(text: string): number[] {
  return text.toLowerCase().match(/[01](\.0*)?|true|false/g)!.map((item) => /^[1t]/.test(item) ? 1 : 0);
}
