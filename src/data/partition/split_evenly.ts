/**
 * Cuts a list into consecutive parts whose sizes differ by at most one; the larger ones come first.
 *
 * @throws {RangeError} if the number of parts isn't a positive integer.
 *
 * @example
 * ```ts no-run
 * splitEvenly([0, 1, 2, 3, 4], 2); // [[0, 1, 2], [3, 4]]
 * ```
 */
export function splitEvenly<T>(items: readonly T[], parts: number): T[][] {
  if (!Number.isSafeInteger(parts) || parts < 1) {
    throw new RangeError(`Cannot split: the number of parts must be a positive integer, got ${parts}`);
  }
  const [size, larger] = [Math.floor(items.length / parts), items.length % parts];
  return Array.from({ length: parts }, (_, k) => {
    const begin = k * size + Math.min(k, larger);
    return items.slice(begin, begin + size + (k < larger ? 1 : 0));
  });
}
