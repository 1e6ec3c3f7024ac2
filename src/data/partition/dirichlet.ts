import { randomKey, RandomStream } from "../../engine/random.ts";
import { checkClients } from "./_check.ts";

/** Options of {@linkcode partitionDirichlet}. */
export interface PartitionDirichletOptions {
  /** Clients that share the examples. */
  numClients: number;
  /** Concentration, above 0: 0.1 is strong label skew, 100 nearly none. */
  alpha: number;
  /** Fewest examples a client may have; 1 by default. */
  minSize?: number;
  /** Seed of the draws, an integer from 0 to 2^53 - 1. */
  seed: number;
}

/**
 * Label skew: each class is shared out among the clients by proportions from Dirichlet(alpha), so both the label mix
 * and the size differ between clients (Yurochkin et al., "Bayesian nonparametric federated learning of neural
 * networks", ICML 2019). Hsu et al. (2019) draw the mix of each client instead, and keep the sizes equal.
 *
 * The literature redraws everything until each client has `minSize` examples, which may never end. Here one draw is
 * made, then each client that falls short takes random examples from whichever client is the largest at the time. So
 * the minimum always holds, clients that met it and were not the largest are as drawn, and no draw is thrown away.
 *
 * @param labels the class of each example
 * @returns for each client the indices of its examples, ascending; every index is in exactly one list
 * @throws {RangeError} if alpha is not a finite number above 0 (from 1e-300), the clients need more examples than there
 *   are, or an argument is out of range
 *
 * @example
 * ```ts no-run
 * const clients = partitionDirichlet(labels, { numClients: 20, alpha: 0.3, minSize: 10, seed: 1 });
 * ```
 */
export function partitionDirichlet(
  labels: ArrayLike<number | string>,
  options: PartitionDirichletOptions,
): number[][] {
  const { numClients, alpha, minSize = 1, seed } = options;
  checkClients(labels.length, numClients, minSize);
  const stream = new RandomStream(randomKey(seed, "partition dirichlet"));
  const clients: number[][] = Array.from({ length: numClients }, () => []);
  for (const members of byClass(labels)) {
    stream.shuffle(members);
    const shares = stream.dirichlet(alpha, numClients);
    // Rounding the running total, not each share, hands out every example exactly once.
    let total = 0;
    let begin = 0;
    for (const [k, indices] of clients.entries()) {
      total += shares[k]!;
      const end = k === numClients - 1
        ? members.length
        : Math.min(members.length, Math.round(total * members.length));
      for (let i = begin; i < end; i++) indices.push(members[i]!);
      begin = end;
    }
  }
  fillUp(clients, minSize, stream);
  for (const indices of clients) indices.sort((a, b) => a - b);
  return clients;
}

function byClass(labels: ArrayLike<number | string>): Iterable<number[]> {
  const classes = new Map<number | string, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const members = classes.get(labels[i]!);
    if (members) members.push(i);
    else classes.set(labels[i]!, [i]);
  }
  return classes.values();
}

/** While one client is short, the average is at least the minimum, so the largest client has one to spare. */
function fillUp(clients: readonly number[][], minSize: number, stream: RandomStream): void {
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
