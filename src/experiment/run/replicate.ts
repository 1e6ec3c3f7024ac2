import type { Config } from "../config/config.ts";

/** What differs between runs of the same method: the draw of the partition, and the seed of everything else. */
export interface Replicate {
  /** Seeds who holds which examples. */
  readonly draw: number;
  /** Seeds head, adapters, batches and sampled clients. */
  readonly seed: number;
}

/**
 * Returns the replicates of a configuration: each draw with each seed, draw by draw.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(replicatesOf({ seed: 4, draws: [7, 9], seeds: 2 }), [
 *   { draw: 7, seed: 4 },
 *   { draw: 7, seed: 5 },
 *   { draw: 9, seed: 4 },
 *   { draw: 9, seed: 5 },
 * ]);
 * ```
 */
export function replicatesOf({ seed, draws, seeds }: Pick<Config, "seed" | "draws" | "seeds">): Replicate[] {
  const ofSeeds = listed(seeds, seed);
  return listed(draws, seed).flatMap((draw) => ofSeeds.map((seed) => ({ draw, seed })));
}

/** The name of a replicate's folder, `draw-1-seed-2`. */
export function replicateName({ draw, seed }: Replicate): string {
  return `draw-${draw}-seed-${seed}`;
}

function listed(given: Config["draws"], first: number): readonly number[] {
  return typeof given === "object" ? given : Array.from({ length: given ?? 1 }, (_, i) => first + i);
}
