import type { Schedule } from "../engine/mod.ts";
import type { LocalOptimizer, LocalWork, TaskSet } from "../tasks/mod.ts";
import type { FederatedMethod } from "./method.ts";

/** Options of {@linkcode simulate}. */
export interface SimulationOptions {
  readonly method: FederatedMethod;
  /** Low-rank methods adapt the linear layers of these names; see `matchesPattern`. */
  readonly targets: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  /** How FeDeRA decomposes weights; randomized by default. */
  readonly svd?: "randomized" | "exact";
  /** Rows of tokens to train on, and which of them each client has. */
  readonly train: TaskSet;
  readonly clients: readonly (readonly number[])[];
  /** What the global model is evaluated on. */
  readonly test: TaskSet;
  readonly rounds: number;
  /** Clients sampled each round; all by default. */
  readonly clientsPerRound?: number;
  /** Clients trained at once; changes memory and speed, never a bit of the result. `"auto"` is the most that fit. */
  readonly cohortSize: number | "auto";
  /**
   * The most bytes of GPU buffers to hold. By default half of what is free where the adapter is the CPU; elsewhere 2 GiB for
   * an automatic cohort size, and else no limit but the adapter's own on single tensors.
   */
  readonly maxGpuBytes?: number | undefined;
  /** Runs each layer again in the backward pass instead of keeping its activations; off by default. */
  readonly checkpointing?: boolean | undefined;
  readonly work: LocalWork;
  readonly batchSize: number;
  readonly optimizer: LocalOptimizer;
  /** Learning rate of a round, by its index from 0; or one for all. */
  readonly learningRate: number | Schedule;
  readonly clipNorm?: number | undefined;
  /** Evaluates every so many rounds, and after the last; 1 by default, 0 for never. */
  readonly evaluateEvery?: number;
  readonly seed: number;
}

/**
 * Checks options against the data.
 *
 * @throws {RangeError} naming what doesn't fit.
 */
export function checkOptions(options: SimulationOptions): void {
  const {
    clients,
    train,
    rounds,
    clientsPerRound = clients.length,
    cohortSize,
    batchSize,
    work,
    maxGpuBytes,
  } = options;
  const counts = {
    rounds,
    clientsPerRound,
    ...cohortSize === "auto" ? {} : { cohortSize },
    ...maxGpuBytes === undefined ? {} : { maxGpuBytes },
    batchSize,
    ..."epochs" in work ? { epochs: work.epochs } : { steps: work.steps },
  };
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`Cannot simulate with ${name} ${value}: expected a positive integer`);
    }
  }
  if (clientsPerRound > clients.length) {
    throw new RangeError(`Cannot sample ${clientsPerRound} clients a round: there are ${clients.length}`);
  }
  clients.forEach((examples, client) => {
    if (examples.length === 0) {
      throw new RangeError(
        `Cannot train client ${client}: it has no examples; raise the partition's minimum size`,
      );
    }
    const outside = examples.find((index) => !(Number.isInteger(index) && index >= 0 && index < train.size));
    if (outside !== undefined) {
      throw new RangeError(`Cannot train client ${client} on example ${outside}: there are ${train.size}`);
    }
  });
}
