import type { Side } from "./checkpoint/settings.ts";

/**
 * How many tokens of each of two texts are kept so that they are `room` together: the longer one is cut until it is
 * as long as the other, then both.
 */
export function longestFirst(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second, Math.floor(room / 2));
  return first > second ? [room - shorter, shorter] : [shorter, room - shorter];
}

/** As many tokens as there is room for, without those at the side that is cut. */
export function cutTo<T>(tokens: readonly T[], room: number, side: Side): readonly T[] {
  if (tokens.length <= room) return tokens;
  return side === "right" ? tokens.slice(0, room) : tokens.slice(tokens.length - room);
}

/**
 * Windows of `length` tokens over `count` of them, in their order, each of which shares `stride` with the one before.
 *
 * @param side where the last window, which may be shorter, stands.
 */
export function windows(
  count: number,
  { length, stride, side }: { readonly length: number; readonly stride: number; readonly side: Side },
): [from: number, to: number][] {
  const found: [number, number][] = [[0, Math.min(length, count)]];
  for (let to = length; to < count;) {
    const from = to - stride;
    to = from + length;
    found.push([from, Math.min(to, count)]);
  }
  if (side === "right") return found;
  return found.map(([from, to]): [number, number] => [count - to, count - from]).reverse();
}
