import {
  constantSchedule,
  NonFiniteError,
  randomKey,
  RandomStream,
  type Schedule,
  type Tensor,
  tensor,
} from "../engine/mod.ts";
import { matchLinears } from "../federa/mod.ts";
import type { TextClassifier } from "../models/text_classifier.ts";
import { type LocalWork, packBatches, planBatches } from "./batches.ts";
import type { TokenizedSet } from "./dataset.ts";
import { effectiveWeights, measureDynamics } from "./dynamics.ts";
import { evaluate, type Evaluation } from "./evaluate.ts";
import type { RoundReport, SimulationEvent } from "./events.ts";
import { FactorCovariance } from "./factor_covariance.ts";
import { type LocalOptimizer, trainCohort } from "./local_training.ts";
import { type FederatedMethod, type ServerState, trainableParameters } from "./method.ts";
import { EventQueue } from "./_event_queue.ts";
import { downloadBytes, uploadBytes } from "./traffic.ts";

/** Options of {@linkcode simulate}. */
export interface SimulationOptions {
  readonly method: FederatedMethod;
  /** Low-rank methods adapt the linear layers of these names; see `matchesPattern`. */
  readonly targets: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  /** How FeDeRA decomposes weights; randomized by default. */
  readonly svd?: "randomized" | "exact";
  /** Examples to train on, and which of them each client has. */
  readonly train: TokenizedSet;
  readonly clients: readonly (readonly number[])[];
  /** Examples the global model is evaluated on. */
  readonly test: TokenizedSet;
  readonly rounds: number;
  /** Clients sampled each round; all by default. */
  readonly clientsPerRound?: number;
  /** Clients trained at once; changes memory and speed, never a bit of the result. */
  readonly cohortSize: number;
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
 * Simulates a federation: each round samples clients, sends them what they need, trains them cohort by cohort, aggregates and
 * evaluates. Everything random is drawn by (seed, purpose, round, client), so runs repeat bit for bit on one adapter,
 * whatever the cohort size.
 *
 * The events tell all there is to know; progress bars, files and early stopping are their consumers. Whoever takes the
 * `finished` model owns its trained tensors.
 *
 * @throws {RangeError} when the options don't fit the data, before anything is trained.
 * @throws {NonFiniteError} when a client's loss is no longer finite; the global values are those of the last whole round.
 */
export async function* simulate(
  pretrained: TextClassifier,
  options: SimulationOptions,
): AsyncGenerator<SimulationEvent> {
  checkOptions(options);
  const { method, rounds, evaluateEvery = 1, svd = "randomized", targets, rank, alpha, seed } = options;
  const started = performance.now();
  const progress = new EventQueue<SimulationEvent>();
  const report =
    (round: number, phase: "initialization" | "training" | "evaluation") => (done: number, total: number) =>
      progress.push({ type: "progress", round, phase, done, total });
  const state = yield* progress.until(method.init(pretrained, {
    targets,
    rank,
    alpha,
    svd,
    seed,
    onProgress: report(0, "initialization"),
  }));
  const shouldEvaluate = (round: number) =>
    evaluateEvery > 0 && (round % evaluateEvery === 0 || round === rounds);
  const test = (round: number): Promise<Evaluation | null> =>
    shouldEvaluate(round)
      ? evaluate(method.evaluationModel(state), options.test, { onProgress: report(round, "evaluation") })
      : Promise.resolve(null);
  const initial = yield* progress.until(test(0));
  yield {
    type: "initialized",
    method: method.name,
    trainableParameters: sizeOfAll(trainableParameters(state.model, method.trainable).values()),
    totalParameters: sizeOfAll([...state.model.namedParameters()].map(([, parameter]) => parameter)),
    test: initial,
    seconds: (performance.now() - started) / 1000,
  };
  const names = matchLinears(pretrained, targets);
  const origin = effectiveWeights(pretrained, names);
  let before = effectiveWeights(state.model, names);
  const lastRounds = new Array<number>(options.clients.length).fill(0);
  let covariance: FactorCovariance | undefined;
  try {
    for (let round = 1; round <= rounds; round++) {
      const timer = new PhaseTimer();
      covariance = new FactorCovariance(state.model);
      const trained = yield* progress.until(
        trainRound(state, {
          ...options,
          round,
          lastRounds,
          covariance,
          timer,
          onProgress: report(round, "training"),
        }),
      );
      const after = effectiveWeights(state.model, names);
      const dynamics = await measureDynamics(state.model, covariance, {
        before,
        after,
        pretrained: origin,
      });
      covariance.dispose();
      disposeAll(before);
      before = after;
      timer.lap("aggregation");
      const evaluation = yield* progress.until(test(round));
      timer.lap("evaluation");
      const { participants, trainLoss, bytesUp, bytesDown } = trained;
      const { gpu } = state.model.head.weight;
      const roundReport: RoundReport = {
        round,
        participants,
        trainLoss,
        test: evaluation,
        bytesUp,
        bytesDown,
        ...dynamics,
        liveBytes: gpu.stats().liveBytes,
        seconds: timer.seconds,
      };
      yield { type: "round", report: roundReport };
    }
  } finally {
    covariance?.dispose();
    disposeAll(before);
    disposeAll(origin);
  }
  yield { type: "finished", model: method.evaluationModel(state) };
}

interface RoundOptions extends SimulationOptions {
  /** The last round that each client took part in; 0 for never. */
  readonly lastRounds: number[];
  readonly covariance: FactorCovariance;
  readonly round: number;
  readonly timer: PhaseTimer;
  readonly onProgress: (done: number, total: number) => void;
}

/** Broadcast, local training and aggregation of one round. */
async function trainRound(state: ServerState, options: RoundOptions) {
  const {
    method,
    train,
    clients,
    clientsPerRound = clients.length,
    cohortSize,
    seed,
    round,
    lastRounds,
    covariance,
    timer,
    onProgress,
  } = options;
  const rate = typeof options.learningRate === "number"
    ? constantSchedule(options.learningRate)
    : options.learningRate;
  const participants = new RandomStream(randomKey(seed, "participants", round))
    .sampleWithoutReplacement(clients.length, clientsPerRound).sort((a, b) => a - b);
  const bytesDown = await downloadBytes(state, { method, participants, lastRounds });
  for (const client of participants) lastRounds[client] = round;
  timer.lap("broadcast");
  const start = trainableParameters(state.model, method.trainable);
  const numExamples = participants.reduce((total, client) => total + clients[client]!.length, 0);
  const aggregation = method.aggregate(state);
  const plans = participants.map((client) => planBatches(clients[client]!, { ...options, client }));
  const cohorts = chunk(participants.map((client, i) => ({ client, plan: plans[i]! })), cohortSize);
  const totalSteps = cohorts.reduce(
    (total, cohort) => total + Math.max(...cohort.map(({ plan }) => plan.length)),
    0,
  );
  let doneSteps = 0;
  let trainLoss = 0;
  let bytesUp = 0;
  try {
    for (const cohort of cohorts) {
      const batches = packBatches(train, cohort.map(({ plan }) => plan), options.batchSize);
      const result = await trainCohort(state.model, start, {
        ...options,
        batches,
        learningRate: rate(round - 1),
        onStep: () => onProgress(++doneSteps, totalSteps),
      });
      const members = cohort.map(({ client }) => client);
      const shares = members.map((client) => clients[client]!.length / numExamples);
      const weights = tensor(result.losses.gpu, shares);
      try {
        const losses = await result.losses.floats();
        members.forEach((client, i) => assertFinite(losses[i]!, client, round));
        // Client by client, so that the sum doesn't depend on the cohorts.
        trainLoss = shares.reduce((total, share, i) => total + share * losses[i]!, trainLoss);
        timer.lap("training");
        bytesUp += await uploadBytes(result.values, members);
        const update = { values: result.values, weights };
        covariance.add(update);
        aggregation.add(update);
      } finally {
        weights.dispose();
        result.losses.dispose();
        disposeAll(result.values);
      }
      timer.lap("aggregation");
    }
    aggregation.finish();
  } finally {
    aggregation.dispose();
  }
  return { participants, trainLoss, bytesUp, bytesDown };
}

/** Adds wall-clock time to the phase that has just ended. */
class PhaseTimer {
  readonly seconds = { broadcast: 0, training: 0, aggregation: 0, evaluation: 0 };
  #last = performance.now();

  lap(phase: keyof PhaseTimer["seconds"]): void {
    const now = performance.now();
    this.seconds[phase] += (now - this.#last) / 1000;
    this.#last = now;
  }
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += size) chunks.push(items.slice(i, i + size));
  return chunks;
}

function sizeOfAll(tensors: Iterable<Tensor>): number {
  let size = 0;
  for (const each of tensors) size += each.size;
  return size;
}

function disposeAll(tensors: ReadonlyMap<string, Tensor>): void {
  for (const each of tensors.values()) each.dispose();
}

function assertFinite(loss: number, client: number, round: number): void {
  if (!Number.isFinite(loss)) {
    throw new NonFiniteError(
      `Cannot go on after round ${round}: the training loss of client ${client} is ${loss}; lower the learning rate or clip gradients`,
    );
  }
}

function checkOptions(options: SimulationOptions): void {
  const { clients, train, rounds, clientsPerRound = clients.length, cohortSize, batchSize, work } = options;
  const counts = {
    rounds,
    clientsPerRound,
    cohortSize,
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
