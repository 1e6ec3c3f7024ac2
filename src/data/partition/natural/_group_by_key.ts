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

/** The order of code points; JavaScript's own is that of UTF-16 units, in which surrogates come before U+E000 to U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rankOf(x) - rankOf(y);
  }
  return a.length - b.length;
}

function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
