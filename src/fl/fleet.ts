import { randomKey, RandomStream } from "../engine/mod.ts";

/** The clients of a federation, and who is asked each round. */
export interface Fleet {
  /** n_k of each client, by its number. */
  readonly numExamples: readonly number[];
  /** Numbers of the clients that a round asks, ascending. */
  sample(round: number): readonly number[];
}

/** Options of {@linkcode uniformFleet}. */
export interface UniformFleetOptions {
  /** Clients each round. */
  readonly clientsPerRound: number;
  readonly seed: number;
}

/** A fleet that asks a uniform sample of its clients each round, drawn by (seed, round). */
export function uniformFleet(numExamples: readonly number[], options: UniformFleetOptions): Fleet {
  const { clientsPerRound, seed } = options;
  return {
    numExamples,
    sample: (round) =>
      new RandomStream(randomKey(seed, "participants", round))
        .sampleWithoutReplacement(numExamples.length, clientsPerRound).sort((a, b) => a - b),
  };
}
