import type { AlignedText, CharChange } from "./aligned_text.ts";
import { LATER_DECOMPOSITIONS, LATER_MARKS } from "./_unicode_tables.ts";

/** A Unicode normalisation form. */
export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** What the library's tables don't have: it neither decomposes nor moves, and nothing is composed to it. */
const KEPT = new RegExp(`[${LATER_DECOMPOSITIONS}${LATER_MARKS}]`, "u");
const nonStarters = new Map<string, boolean>();

/**
 * A text in a normalisation form (Unicode Standard Annex 15), with what became of each character.
 *
 * JavaScript normalises whole strings and reports neither origins nor combining classes, so both are found piece by
 * piece: characters are decomposed one at a time, put in canonical order, and composed again pair by pair.
 */
export function toUnicodeForm(text: AlignedText, form: UnicodeForm): AlignedText {
  if (text.text.normalize(form) === text.text) return text;
  const compatible = form === "NFKC" || form === "NFKD";
  const decomposed = decompose(text.chars, compatible ? "NFKD" : "NFD");
  return text.transform(form === "NFC" || form === "NFKC" ? compose(decomposed) : decomposed);
}

function decompose(chars: readonly string[], form: "NFD" | "NFKD"): CharChange[] {
  const changes: CharChange[] = [];
  let run: CharChange[] = [];
  const flush = () => {
    for (const change of run.length > 1 ? inCanonicalOrder(run) : run) changes.push(change);
    run = [];
  };
  for (const char of chars) {
    let change = 0;
    for (const part of KEPT.test(char) ? char : char.normalize(form)) {
      if (isNonStarter(part)) {
        run.push([part, change]);
      } else {
        flush();
        changes.push([part, change]);
      }
      change = 1;
    }
  }
  flush();
  return changes;
}

function inCanonicalOrder(run: readonly CharChange[]): CharChange[] {
  const waiting = new Map<string, CharChange[]>(run.map(([char]) => [char, []]));
  for (const entry of run.toReversed()) waiting.get(entry[0])!.push(entry);
  return Array.from(run.map(([char]) => char).join("").normalize("NFD"), (char) => waiting.get(char)!.pop()!);
}

/** Canonical composition; a character that takes in another one takes over its place in the old text as well. */
function compose(changes: readonly CharChange[]): CharChange[] {
  const composed: CharChange[] = [];
  let starter: number | undefined;
  let last: string | undefined;
  for (const [char, change] of changes) {
    const isMark = isNonStarter(char);
    if (starter !== undefined && (last === undefined || isMark && !sameClass(last, char))) {
      const [base, own] = composed[starter]!;
      const both = (base + char).normalize("NFC");
      if ([...both].length === 1 && !KEPT.test(both)) {
        composed[starter] = [both, own + change - 1];
        continue;
      }
    }
    if (!isMark) {
      starter = composed.length;
      last = undefined;
    } else if (starter !== undefined) {
      last = char;
    }
    composed.push([char, change]);
  }
  return composed;
}

/** Whether two marks have one combining class: then neither order of them is changed. */
function sameClass(a: string, b: string): boolean {
  return a === b || (a + b).normalize("NFD") === a + b && (b + a).normalize("NFD") === b + a;
}

/** Whether the combining class is above 0: then the character moves past a mark of class 1, or before one of 232. */
function isNonStarter(char: string): boolean {
  if (char < "\u0300") return false;
  let known = nonStarters.get(char);
  if (known === undefined) {
    known = !KEPT.test(char) && ((char + "\u0334").normalize("NFD") !== char + "\u0334" ||
      ("\u0315" + char).normalize("NFD") !== "\u0315" + char);
    // There are about a thousand marks; the bound is on the many other characters.
    if (nonStarters.size >= 1 << 16) nonStarters.clear();
    nonStarters.set(char, known);
  }
  return known;
}
