import { randomKey, RandomStream } from "../../engine/mod.ts";
import type { Attack } from "./define_attack.ts";

/** Hostile clients of a federation. */
export interface Attackers {
  /** The share of all clients that are hostile, rounded to whole clients; which ones is drawn by the seed. */
  readonly share: number;
  readonly attack: Attack;
}

/** Options of {@linkcode drawAttackers}. */
export interface DrawAttackersOptions {
  readonly share: number;
  readonly numClients: number;
  readonly seed: number;
}

/**
 * Numbers of the clients that are hostile throughout a run, ascending.
 *
 * @throws {RangeError} when the share makes nobody hostile, or everybody.
 */
export function drawAttackers({ share, numClients, seed }: DrawAttackersOptions): number[] {
  const count = Math.round(share * numClients);
  if (!(count >= 1 && count < numClients)) {
    throw new RangeError(
      `Cannot make a share of ${share} of ${numClients} clients hostile: expected at least one, and one that isn't`,
    );
  }
  return new RandomStream(randomKey(seed, "attackers"))
    .sampleWithoutReplacement(numClients, count).sort((a, b) => a - b);
}
