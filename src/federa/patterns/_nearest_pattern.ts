import { editDistance } from "../../data/text/nearest_key.ts";
import { LONGEST_PATTERN, matchesPattern } from "./_glob.ts";

/** Most names that are compared; a large encoder has 150 linear layers. */
const MOST_NAMES = 1000;
/** Longer parts of names and patterns count as far from each other. */
const LONGEST_PART = 64;

/**
 * Costs of edits to a pattern: inserting any number of consecutive parts (less at the start: names are often given by their
 * ends), and dropping a part. Replacing one costs up to 1.1.
 */
const INSERT_BEFORE = 0.1;
const INSERT = 0.5;
const DROP = 1.3;
const DROP_STAR = 0.4;

/**
 * The pattern that matches one of the names and differs as little as possible from one that matches none: parts are replaced by
 * the name's (numbers by `*`), dropped, or inserted as `**`.
 *
 * @returns undefined if no word of the pattern resembles one of the names', or the pattern is too long to be a mistake.
 */
export function nearestPattern(pattern: string, names: readonly string[]): string | undefined {
  const parts = pattern.split(".");
  if (pattern.length > LONGEST_PATTERN || parts.length > 32) return undefined;
  let nearest: { readonly cost: number; readonly pattern: string } | undefined;
  for (const name of names.slice(0, MOST_NAMES)) {
    if (name.split(".").length > 32) continue;
    const edited = edit(parts, name.split("."));
    const isNearer = nearest === undefined || edited.cost < nearest.cost;
    if (isNearer && edited.isAlike && matchesPattern(name, edited.pattern)) {
      nearest = edited;
    }
  }
  return nearest?.pattern;
}

/** A name with `*` for its numbers. */
export function shapeOf(name: string): string {
  return name.replace(/(?<=^|\.)\d+(?=\.|$)/g, "*");
}

/** The cheapest edit that makes a pattern match a name, part by part, as for edit distances. */
function edit(
  parts: readonly string[],
  name: readonly string[],
): { cost: number; pattern: string; isAlike: boolean } {
  type Cell = { readonly cost: number; readonly kept: readonly string[]; readonly isAlike: boolean };
  const rows: Cell[][] = [];
  for (let i = 0; i <= parts.length; i++) {
    rows.push([]);
    for (let j = 0; j <= name.length; j++) {
      const part = parts[i - 1];
      const word = name[j - 1];
      const ways: Cell[] = i === 0 && j === 0 ? [{ cost: 0, kept: [], isAlike: false }] : [];
      const go = (from: Cell, cost: number, shown?: string, isAlike = false) =>
        ways.push({
          cost: from.cost + cost,
          kept: shown === undefined ? from.kept : [...from.kept, shown],
          isAlike: from.isAlike || isAlike,
        });
      if (i > 0 && j > 0) {
        const { cost, shown } = replace(part!, word!);
        if (part !== "**") go(rows[i - 1]![j - 1]!, cost, shown, cost < 1 && /[^*]/.test(part!));
        else go(rows[i]![j - 1]!, 0);
      }
      if (i > 0) {
        if (part === "**") go(rows[i - 1]![j]!, 0, "**");
        else go(rows[i - 1]![j]!, part === "*" ? DROP_STAR : DROP);
      }
      for (let k = 0; k < j; k++) go(rows[i]![k]!, i === 0 ? INSERT_BEFORE : INSERT, "**");
      rows[i]!.push(ways.reduce((best, way) => way.cost < best.cost ? way : best));
    }
  }
  const { cost, kept, isAlike } = rows.at(-1)!.at(-1)!;
  return { cost, pattern: joined(kept), isAlike };
}

/** What one part becomes to match a word, and what that costs. */
function replace(part: string, word: string): { cost: number; shown: string } {
  if (matchesPattern(word, part)) return { cost: 0, shown: part };
  const shown = shapeOf(word);
  if (part.length > LONGEST_PART || word.length > LONGEST_PART) return { cost: 1.1, shown };
  if (/^\d+$/.test(part) && /^\d+$/.test(word)) return { cost: 0.2, shown };
  const [a, b] = [part.replaceAll("*", "").toLowerCase(), word.toLowerCase()];
  if (a === b) return { cost: 0.1, shown };
  if (a !== "" && b !== "" && (a.includes(b) || b.includes(a))) return { cost: 0.3, shown };
  return { cost: 0.1 + editDistance(a, b) / Math.max(a.length, b.length), shown };
}

/** Parts with dots between them; `**` absorbs adjacent stars. */
function joined(parts: readonly string[]): string {
  const kept: string[] = [];
  for (const part of parts) {
    const last = kept.at(-1);
    if (part === "**" && last === "*") kept.pop();
    if ((part === "**" || part === "*") && kept.at(-1) === "**") continue;
    kept.push(part);
  }
  return kept.join(".");
}
