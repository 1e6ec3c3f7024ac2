import { randomKey, RandomStream } from "../../../engine/random.ts";

/** Options of {@linkcode labelPermutations}. */
export interface LabelPermutationsOptions {
  readonly numClients: number;
  readonly numClasses: number;
  /** An integer from 0 to 2^53 - 1. */
  readonly seed: number;
}

/**
 * A permutation of the classes for each client: client k sees class c as `permutations[k][c]`. So the same text means different things
 * to different clients, and no one model is right for all, which is where methods with personal parameters win. None is repeated
 * before all have occurred, so that with few classes clients differ as much as they can.
 *
 * @throws {RangeError} if a number of clients or classes isn't a positive integer, or the seed is out of range.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const permutations = labelPermutations({ numClients: 2, numClasses: 2, seed: 1 });
 * assert.deepEqual(permutations.toSorted(), [[0, 1], [1, 0]]);
 * ```
 */
export function labelPermutations({ numClients, numClasses, seed }: LabelPermutationsOptions): number[][] {
  for (const [name, value] of Object.entries({ numClients, numClasses })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`Cannot permute labels: ${name} must be a positive integer, got ${value}`);
    }
  }
  const stream = new RandomStream(randomKey(seed, "partition label-permutation"));
  const total = factorial(numClasses);
  const used = new Set<string>();
  return Array.from({ length: numClients }, () => {
    if (used.size === total) used.clear();
    for (;;) {
      const permutation = stream.shuffle(Array.from({ length: numClasses }, (_, c) => c));
      const name = permutation.join();
      if (used.has(name)) continue;
      used.add(name);
      return permutation;
    }
  });
}

function factorial(n: number): number {
  let product = 1;
  for (let i = 2; i <= n && product < Infinity; i++) product *= i;
  return product;
}
