import type { RandomStream } from "../../../engine/random.ts";

/**
 * Lets each client that has fewer than the minimum take random examples from whichever client is the largest at the time. While
 * one client is short, the average is at least the minimum, so the largest client has one to spare.
 */
export function fillUp(clients: readonly number[][], minSize: number, stream: RandomStream): void {
  const largest = largestFirst(clients, minSize);
  for (const indices of clients) {
    while (indices.length < minSize) {
      const donor = largest.next().value!;
      indices.push(donor.splice(stream.integer(donor.length), 1)[0]!);
    }
  }
}

/** Yields the first of the largest clients repeatedly; each must give away an example before the next is requested. */
function* largestFirst(clients: readonly number[][], minSize: number): Generator<number[], undefined> {
  const byLength = [...clients.entries()].filter(([, { length }]) => length > minSize)
    .sort(([, a], [, b]) => b.length - a.length);
  // Larger clients have come down to the level by now, so all that take part are equal.
  let level = byLength[0]?.[1].length ?? 0;
  let equals: typeof byLength = [];
  for (let next = 0; level > minSize; level--) {
    const from = next;
    while (byLength[next]?.[1].length === level) next++;
    if (next > from) equals = [...equals, ...byLength.slice(from, next)].sort(([a], [b]) => a - b);
    for (const [, indices] of equals) yield indices;
  }
}
