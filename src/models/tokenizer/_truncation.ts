/**
 * How many tokens of each of two texts are kept so that they are `room` together: the longer one is cut until it is
 * as long as the other, then both.
 */
export function longestFirst(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second];
  const shorter = Math.min(first, second, Math.floor(room / 2));
  return first > second ? [room - shorter, shorter] : [shorter, room - shorter];
}

/** Windows of `length` tokens over `count` of them, each of which begins with the last `stride` of the one before. */
export function windows(count: number, length: number, stride: number): [from: number, to: number][] {
  const found: [number, number][] = [[0, Math.min(length, count)]];
  for (let to = length; to < count;) {
    const from = to - stride;
    to = from + length;
    found.push([from, Math.min(to, count)]);
  }
  return found;
}
