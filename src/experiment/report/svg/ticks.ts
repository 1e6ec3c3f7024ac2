/**
 * Round numbers from 0 to at most the largest value, about `count` of them: 1, 2 or 5 times a power of ten apart, and whole.
 *
 * @example
 * ```ts no-run
 * roundTicks(47, 5); // [0, 10, 20, 30, 40]
 * ```
 */
export function roundTicks(largest: number, count: number): number[] {
  const rough = Math.max(1, largest / count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  return Array.from({ length: Math.floor(largest / step) + 1 }, (_, i) => i * step);
}
