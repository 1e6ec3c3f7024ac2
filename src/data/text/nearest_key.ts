/** Longest word, in UTF-16 units, that is compared: an edit distance takes time proportional to the product of the lengths. */
const MAX_LENGTH = 200;

/**
 * The candidate that a misspelt word most likely meant: the one with the smallest edit distance, if that is at most a
 * third of the longer word and one more; nothing otherwise, nor for words of more than 200 letters. Upper and lower case count
 * as equal.
 *
 * @example
 * ```ts
 * nearestKey("leraningRate", ["learningRate", "rank"]); // "learningRate"
 * ```
 */
export function nearestKey(word: string, candidates: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let smallest = Infinity;
  for (const candidate of candidates) {
    const length = Math.max(word.length, candidate.length);
    const limit = 1 + Math.floor(length / 3);
    if (length > MAX_LENGTH || 2 * length - word.length - candidate.length > limit) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && distance < smallest) {
      nearest = candidate;
      smallest = distance;
    }
  }
  return nearest;
}

/**
 * The fewest insertions, deletions and replacements of one UTF-16 unit, and swaps of two neighbours, that turn one word
 * into the other, where no part is changed twice ("optimal string alignment").
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(replace, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1);
      }
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
