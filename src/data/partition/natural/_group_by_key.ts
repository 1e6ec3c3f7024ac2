/** A key and the examples that have it. */
export interface KeyGroup {
  readonly key: string;
  readonly members: number[];
}

/**
 * The examples of each key, in the order in which keys first occur, or of their code points.
 *
 * @throws {TypeError} if an example has no key, or an empty one.
 */
export function groupByKey(
  keys: readonly string[],
  { sortKeys }: { readonly sortKeys: boolean },
): KeyGroup[] {
  const groups = new Map<string, number[]>();
  for (const [i, key] of keys.entries()) {
    if (typeof key !== "string" || key === "") {
      throw new TypeError(
        `Cannot partition by key: example ${i} must have a key, got ${JSON.stringify(key)}`,
      );
    }
    const members = groups.get(key);
    if (members) members.push(i);
    else groups.set(key, [i]);
  }
  const found = Array.from(groups, ([key, members]) => ({ key, members }));
  return sortKeys ? found.sort((a, b) => compareCodePoints(a.key, b.key)) : found;
}

/** JavaScript's own order is that of UTF-16 units, which differs beyond U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const [x, y] = [[...a], [...b]];
  const i = x.findIndex((character, j) => character !== y[j]);
  if (i === -1) return x.length - y.length;
  return i < y.length ? x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)! : 1;
}
