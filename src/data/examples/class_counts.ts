import type { MultiLabelExample, TaggedExample } from "./examples.ts";
import { sortLabels } from "./label_order.ts";
import { editDistance } from "../text/nearest_key.ts";
import type { TextExample } from "./text_example.ts";

/** How often a class, label or tag occurs. */
export interface ClassCount {
  readonly label: string;
  /** Examples that have it; words, of a tag. */
  readonly count: number;
}

/** Two labels that may be spellings of one. */
export interface SimilarLabels {
  readonly rarer: ClassCount;
  readonly commoner: ClassCount;
}

type Labelled =
  | Pick<TextExample, "label">
  | Pick<MultiLabelExample, "labels">
  | Pick<TaggedExample, "tags">
  | object;

/**
 * Counts the classes, labels or tags of examples; none of examples that have none, such as numbers and questions.
 *
 * @param labels to count first, in their order, even if one doesn't occur; the others that occur follow, in the order of
 *   {@linkcode sortLabels}.
 *
 * @example
 * ```ts
 * countClasses([{ label: "spam" }, { label: "ham" }, { label: "spam" }]);
 * // [{ label: "ham", count: 1 }, { label: "spam", count: 2 }]
 * ```
 */
export function countClasses(examples: Iterable<Labelled>, labels: readonly string[] = []): ClassCount[] {
  const counts = new Map<string, number>();
  for (const example of examples) {
    for (const label of labelsIn(example)) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const named = new Set(labels);
  const others = sortLabels([...counts.keys()].filter((label) => !named.has(label)));
  return [...named, ...others].map((label) => ({ label, count: counts.get(label) ?? 0 }));
}

/** The class of an example, its labels without duplicates, or its tags; empty for examples without any. */
export function labelsIn(example: Labelled): Iterable<string> {
  if ("label" in example) return [example.label];
  if ("labels" in example) return new Set(example.labels);
  return "tags" in example ? example.tags : [];
}

/** A label that is this many times rarer than another, and one edit away from it, may be a typo. */
const RARE = 20;
/** Lengths of the labels that are checked for typos. */
const SLIP_LENGTHS = { least: 5, most: 40 };

/**
 * Pairs of labels that may be spellings of the same: they differ in case, in space, `-` and `_` between letters, in invisible
 * characters, in equivalent forms of Unicode or of a number, or, if one is at least 20 times rarer, in one letter. Each label
 * is paired with the most common one that it resembles, so that the time is linear in the labels.
 *
 * @example
 * ```ts
 * similarLabels(countClasses([{ label: "Positive" }, { label: "positive" }, { label: "positive" }]));
 * // [{ rarer: { label: "Positive", count: 1 }, commoner: { label: "positive", count: 2 } }]
 * ```
 */
export function similarLabels(counts: readonly ClassCount[]): SimilarLabels[] {
  const byCount = counts.toSorted((a, b) => b.count - a.count);
  const commonest = new Map<string, ClassCount>();
  const nearby = new Map<string, ClassCount>();
  const pairs: SimilarLabels[] = [];
  for (const rarer of byCount) {
    const key = fold(rarer.label);
    const same = commonest.get(key);
    if (same !== undefined) {
      pairs.push({ rarer, commoner: same });
      continue;
    }
    commonest.set(key, rarer);
    if (key.length < SLIP_LENGTHS.least || key.length > SLIP_LENGTHS.most) continue;
    const near = neighbours(key).map((each) => nearby.get(each)).find((other) =>
      other !== undefined && rarer.count * RARE <= other.count && isSlip(key, fold(other.label))
    );
    if (near !== undefined) pairs.push({ rarer, commoner: near });
    if (rarer.count >= RARE) {
      for (const each of neighbours(key)) if (!nearby.has(each)) nearby.set(each, rarer);
    }
  }
  return pairs;
}

/** A label in a form that all its spellings share. */
function fold(label: string): string {
  const text = label.normalize("NFKC").toLowerCase().replace(/[\s\p{Cf}\p{Cc}]/gu, "")
    .replace(/(?<=\p{L})[-_]+(?=\p{L})/gu, "");
  return /^[+-]?\d+(\.\d+)?$/.test(text)
    ? withoutLastZeros(text.replace("+", "").replace(/^(-?)0+(?=\d)/, "$1"))
    : text;
}

/** A decimal number without trailing zeros in its fraction, or without an empty fraction. */
function withoutLastZeros(text: string): string {
  if (!text.includes(".")) return text;
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return text.slice(0, text[end - 1] === "." ? end - 1 : end);
}

/** A word, and the word without each of its letters: two words that are one edit apart share one of these. */
function neighbours(word: string): string[] {
  return [word, ...Array.from(word, (_, i) => word.slice(0, i) + word.slice(i + 1))];
}

/** Whether words differ by one letter, but not the first and not a digit: `class1` and `class2` differ on purpose, as do `B-` and `I-`. */
function isSlip(a: string, b: string): boolean {
  const digits = (word: string) => word.replace(/\D/g, "");
  return a[0] === b[0] && digits(a) === digits(b) && editDistance(a, b) === 1;
}
