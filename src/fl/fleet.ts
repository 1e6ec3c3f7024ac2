import { randomKey, RandomStream } from "../engine/mod.ts";

/** How a fleet draws whom it asks: each client by itself with a probability, or so many of all. */
export type Sampling =
  | { readonly kind: "poisson"; readonly rate: number }
  | { readonly kind: "uniform"; readonly clientsPerRound: number };

/** The clients of a federation, and who is asked each round. */
export interface Fleet {
  /** n_k of each client, by its number. */
  readonly numExamples: readonly number[];
  /** How far the labels of each are from those of all, where that is known. */
  readonly labelDivergences?: readonly number[];
  /** How it samples, where what depends on it is to be trusted: the privacy that sampling gives. */
  readonly sampling?: Sampling;
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
    sampling: { kind: "uniform", clientsPerRound },
    sample: (round) =>
      new RandomStream(randomKey(seed, "participants", round))
        .sampleWithoutReplacement(numExamples.length, clientsPerRound).sort((a, b) => a - b),
  };
}

/** Options of {@linkcode poissonFleet}. */
export interface PoissonFleetOptions {
  /** q: the probability that a round asks a client, above 0 and up to 1. */
  readonly rate: number;
  readonly seed: number;
}

/**
 * A fleet that asks each client by itself with the same probability, drawn by (seed, round): cohorts differ in size, and may be empty.
 * The privacy that sampling gives is proven for this.
 *
 * @throws {RangeError} when the rate isn't in (0, 1].
 */
export function poissonFleet(numExamples: readonly number[], { rate, seed }: PoissonFleetOptions): Fleet {
  if (!(rate > 0 && rate <= 1)) {
    throw new RangeError(`Cannot sample clients at rate ${rate}: expected a number above 0 and up to 1`);
  }
  return {
    numExamples,
    sampling: { kind: "poisson", rate },
    sample(round) {
      const stream = new RandomStream(randomKey(seed, "poisson participants", round));
      return [...numExamples.keys()].filter(() => stream.uniform() < rate);
    },
  };
}
