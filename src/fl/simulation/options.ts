import type { Schedule } from "../../engine/mod.ts";
import { countTargets, type LocalOptimizer, type LocalWork, rowsOf, type TaskSet } from "../../tasks/mod.ts";
import type { AggregatorFactory } from "../aggregation/aggregator.ts";
import type { AsynchronyInput } from "../asynchrony/options.ts";
import type { Attackers } from "../attacks/mod.ts";
import type { ClientStore } from "../client/client_store.ts";
import type { RoundReport } from "../events.ts";
import type { Sampling } from "../fleet.ts";
import type { MeasureFactory } from "../measures/measure.ts";
import type { Method } from "../method.ts";
import type { SecureAggregationInput } from "../privacy/secure_aggregation/mod.ts";
import type { Stage } from "../privacy/stage.ts";
import type { BlockParticipants } from "./block_participants.ts";
import type { Participants } from "../participants.ts";
import type { Codec } from "../transport/codec.ts";
import type { RunState } from "../run_state.ts";

/** Clients of a block that others train, where `blockSize` is `"auto"`: what fits into their memory isn't known here. */
export const automaticBlock = 8;

/** Options of {@linkcode simulate}. */
export interface SimulationOptions {
  readonly method: Method;
  /** Examples to train on, and which of them each client has. */
  readonly train: TaskSet;
  readonly clients: readonly (readonly number[])[];
  /** What the global model is evaluated on. */
  readonly test: TaskSet;
  /**
   * Test data of each client's own, undefined for one that has none: then scores over clients are reported too. Where ranks differ,
   * every client is tested with the global adapters, not those of its own rank.
   */
  readonly testClients?: readonly (TaskSet | undefined)[] | undefined;
  readonly rounds: number;
  /** Clients sampled each round; all by default. */
  readonly clientsPerRound?: number;
  /**
   * So many clients each round (`"uniform"`, the default), or each client by itself with probability `clientsPerRound` by the number of
   * clients (`"poisson"`), as differential privacy wants it: then cohorts differ in size and may be empty.
   */
  readonly sampling?: Sampling["kind"] | undefined;
  /** Clients trained at once; changes memory and speed, never a bit of the result. `"auto"` is the most that fit. */
  readonly blockSize: number | "auto";
  /**
   * The most bytes of GPU buffers to hold. By default half of what is free where the adapter is the CPU; elsewhere 2 GiB for
   * an automatic block size, and else no limit but the adapter's own on single tensors.
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
  /** Evaluates every so many rounds, before the first and after the last; 1 by default, 0 for never. */
  readonly evaluateEvery?: number;
  readonly seed: number;
  /** Weighted means by default. */
  readonly aggregator?: AggregatorFactory | undefined;
  /** Has the server get the mean by the protocol of secure aggregation, and nothing else of uploads; not by default. */
  readonly secureAggregation?: SecureAggregationInput | undefined;
  /** Has the server move without waiting for all that it asked, on a simulated clock; `rounds` are then its updates. Not by default. */
  readonly asynchrony?: AsynchronyInput | undefined;
  /** Hostile clients, to find out what a rule withstands; nobody by default. In a baseline that trains centrally there are none. */
  readonly attackers?: Attackers | undefined;
  /** What is done to uploads on their way; nothing by default. */
  readonly stages?: readonly Stage[] | undefined;
  /** How uploads are put into bytes: what is aggregated is what arrives. In f32 by default; downloads always are. */
  readonly codec?: Codec | undefined;
  /** Where clients keep what they need in later rounds; in memory by default. A state that is resumed brings its own. */
  readonly store?: ClientStore | undefined;
  /** What is observed of each round; nothing by default. */
  readonly measures?: readonly MeasureFactory[] | undefined;
  /** Goes on from a state of the same run, whose tensors it takes over once it's started. */
  readonly resume?: RunState | undefined;
  /**
   * Who trains in place of the blocks of this process, such as workers on other machines, which is given these. The memory forecast then
   * counts what arrives alone, in blocks of `blockSize`, or of {@linkcode automaticBlock} clients.
   */
  readonly trainers?: ((own: BlockParticipants) => Participants) | undefined;
  /** Called after each local step of a block is recorded; the device may be some steps behind. */
  readonly onStep?: ((step: number, steps: number) => void) | undefined;
  /** Ends the run after a round. */
  readonly shouldStop?: ((report: RoundReport) => boolean) | undefined;
}

/**
 * Checks options against the data.
 *
 * @throws {RangeError} naming what doesn't fit.
 */
export function checkOptions(options: SimulationOptions): void {
  const { clients, train, rounds, clientsPerRound = clients.length } = options;
  const { blockSize, batchSize, work, maxGpuBytes } = options;
  checkScalars(options);
  const counts = {
    rounds,
    clientsPerRound,
    ...blockSize === "auto" ? {} : { blockSize },
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
    const outside = examples.find((index) =>
      !(Number.isInteger(index) && index >= 0 && index < train.numExamples)
    );
    if (outside !== undefined) {
      throw new RangeError(
        `Cannot train client ${client} on example ${outside}: there are ${train.numExamples}`,
      );
    }
    if (rowsOf(train, examples).length === 0) {
      throw new RangeError(
        `Cannot train client ${client}: it has no examples; raise the partition's minimum size`,
      );
    }
  });
  checkTestSets(options);
}

function checkScalars({ evaluateEvery = 1, seed, learningRate, clipNorm }: SimulationOptions): void {
  for (const [name, value] of Object.entries({ evaluateEvery, seed })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot simulate with ${name} ${value}: expected an integer, 0 or more`);
    }
  }
  if (typeof learningRate === "number" && !(learningRate >= 0 && learningRate < Infinity)) {
    throw new RangeError(
      `Cannot simulate with learningRate ${learningRate}: expected a finite number, 0 or more`,
    );
  }
  if (clipNorm !== undefined && !(clipNorm > 0)) {
    throw new RangeError(`Cannot simulate with clipNorm ${clipNorm}: expected a positive number`);
  }
}

function checkTestSets({ clients, test, testClients, evaluateEvery }: SimulationOptions): void {
  if (testClients !== undefined && testClients.length !== clients.length) {
    throw new RangeError(
      `Cannot test ${testClients.length} clients: expected as many as are trained, ${clients.length}`,
    );
  }
  if (evaluateEvery === 0) return;
  check(test, "the common test set", "evaluateEvery 0 evaluates nothing");
  for (const [client, set] of (testClients ?? []).entries()) {
    if (set) check(set, `the test set of client ${client}`, "use undefined for a client that has none");
  }

  function check(set: TaskSet, which: string, advice: string): void {
    for (let row = 0; row < set.size; row++) if (countTargets(set, row) > 0) return;
    throw new RangeError(
      `Cannot evaluate on ${which}: none of its ${set.size} rows has a target that counts; ${advice}`,
    );
  }
}
