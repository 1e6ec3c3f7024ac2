/** Integers and decimals as people write them; longer ones are names. */
const NUMBER = /^[+-]?\d{1,40}(\.\d{1,40})?$/;

/**
 * Labels in a fixed order, so that the same data gives the same numbering everywhere: by value if every label is a number, by
 * code units otherwise. Duplicates are dropped.
 *
 * @example
 * ```ts
 * sortLabels(["10", "9", "-1"]); // ["-1", "9", "10"]
 * sortLabels(["10", "9", "x"]); // ["10", "9", "x"]
 * ```
 */
export function sortLabels(labels: Iterable<string>): string[] {
  const unique = [...new Set(labels)].sort();
  return unique.every((label) => NUMBER.test(label)) ? unique.sort(compareNumbers) : unique;
}

function compareNumbers(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  if (difference !== 0 || a.includes(".") || b.includes(".")) return difference;
  const exact = BigInt(a.replace("+", "")) - BigInt(b.replace("+", ""));
  return exact < 0n ? -1 : exact > 0n ? 1 : 0;
}
