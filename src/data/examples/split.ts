import { labelsOf } from "./text_example.ts";

/** Options of {@linkcode stratifiedSplit}. */
export interface StratifiedSplitOptions {
  /** Share of every class that goes to validation. Default 0.1. */
  validation?: number;
  /** Share of every class that goes to the test. Default 0.2. */
  test?: number;
}

/** Three disjoint parts, each in the order of the whole. */
export interface Split<T> {
  train: T[];
  validation: T[];
  test: T[];
}

/**
 * Splits examples at random, class by class, so that every part has the class shares of the whole to within one
 * example. The same examples and random numbers give the same split.
 *
 * @param random a generator of uniform 32-bit unsigned integers.
 * @throws {RangeError} if a share is negative, nothing would be left to train on, or `random` gives other numbers.
 *
 * @example
 * ```ts
 * let state = 1;
 * const random = () => state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
 * const examples = ["a", "b"].flatMap((label) => Array.from({ length: 10 }, () => ({ label })));
 * stratifiedSplit(examples, random).test.length; // 4
 * ```
 */
export function stratifiedSplit<T extends { readonly label: string }>(
  examples: readonly T[],
  random: () => number,
  { validation = 0.1, test = 0.2 }: StratifiedSplitOptions = {},
): Split<T> {
  if (!(validation >= 0 && test >= 0 && validation + test < 1)) {
    throw new RangeError(
      `Cannot split examples: shares must be at least 0 and add up to less than 1, got ${validation} and ${test}`,
    );
  }
  const part: (keyof Split<T>)[] = new Array(examples.length).fill("train");
  const classes = new Map<string, number[]>(labelsOf(examples).map((label) => [label, []]));
  for (const [index, { label }] of examples.entries()) classes.get(label)!.push(index);
  for (const indices of classes.values()) {
    shuffle(indices, random);
    const numTest = Math.round(indices.length * test);
    const numHeldOut = Math.round(indices.length * (test + validation));
    for (const index of indices.slice(0, numTest)) part[index] = "test";
    for (const index of indices.slice(numTest, numHeldOut)) part[index] = "validation";
  }
  const split: Split<T> = { train: [], validation: [], test: [] };
  for (const [index, example] of examples.entries()) split[part[index]!].push(example);
  return split;
}

/** Fisher and Yates' shuffle, in place. */
function shuffle(items: number[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = randomBelow(last + 1, random);
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
}

/** Uniform below `bound`; numbers past its last whole multiple are drawn again, which a remainder alone would favour. */
function randomBelow(bound: number, random: () => number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const value = random();
    if (value !== value >>> 0) {
      throw new RangeError(`Cannot shuffle: random must give 32-bit unsigned integers, got ${value}`);
    }
    if (value < limit) return value % bound;
  }
}
