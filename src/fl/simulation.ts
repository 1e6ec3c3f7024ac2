import { disposeAll, type Tensor } from "../engine/mod.ts";
import { matchLinears } from "../federa/mod.ts";
import { evaluate, type Evaluation, type TaskModel } from "../tasks/mod.ts";
import { EventQueue } from "./_event_queue.ts";
import { PhaseTimer } from "./_phase_timer.ts";
import { effectiveWeights, measureDynamics } from "./dynamics.ts";
import type { RoundReport, SimulationEvent } from "./events.ts";
import { FactorCovariance } from "./factor_covariance.ts";
import { planMemory } from "./memory.ts";
import { type ServerState, trainableParameters } from "./method.ts";
import { disposeOwn } from "./own_parameters.ts";
import { trainRound } from "./round.ts";
import { checkOptions, type SimulationOptions } from "./simulation_options.ts";

/**
 * Simulates a federation: each round samples clients, sends them what they need, trains them cohort by cohort, aggregates and
 * evaluates. Everything random is drawn by (seed, purpose, round, client), so runs repeat bit for bit on one adapter,
 * whatever the cohort size.
 *
 * The events tell all there is to know; progress bars, files and early stopping are their consumers. Whoever takes the
 * `finished` model owns its trained tensors.
 *
 * @throws {RangeError} when the options don't fit the data, or the encoder lacks embeddings for a token, before anything is trained.
 * @throws {OutOfMemoryError} when a round wouldn't fit into memory, before anything is trained.
 * @throws {NonFiniteError} when a client's loss is no longer finite; the global values are those of the last whole round.
 */
export async function* simulate(
  pretrained: TaskModel,
  options: SimulationOptions,
): AsyncGenerator<SimulationEvent> {
  checkOptions(options);
  for (const rows of [options.train, options.test]) pretrained.encoder.checkTokens(rows);
  const { method, svd = "randomized", targets, rank, alpha, seed } = options;
  const started = performance.now();
  const progress = new EventQueue<SimulationEvent>();
  const state = yield* progress.until(method.init(pretrained, {
    targets,
    rank,
    alpha,
    svd,
    seed,
    onProgress: (done, total) =>
      progress.push({ type: "progress", round: 0, phase: "initialization", done, total }),
  }));
  let isTaken = false;
  try {
    yield* runRounds(pretrained, state, { ...options, started, progress });
    isTaken = true;
    yield { type: "finished", model: method.evaluationModel(state) };
  } finally {
    if (!isTaken) disposeOwn(state.model, pretrained);
  }
}

/** Evaluates the state, and trains and evaluates it round by round. */
async function* runRounds(
  pretrained: TaskModel,
  state: ServerState,
  options: SimulationOptions & { readonly started: number; readonly progress: EventQueue<SimulationEvent> },
): AsyncGenerator<SimulationEvent, void> {
  const { method, rounds, evaluateEvery = 1, targets, started, progress } = options;
  const report = (round: number, phase: "training" | "evaluation") => (done: number, total: number) =>
    progress.push({ type: "progress", round, phase, done, total });
  const shouldEvaluate = (round: number) =>
    evaluateEvery > 0 && (round % evaluateEvery === 0 || round === rounds);
  const test = (round: number): Promise<Evaluation | null> =>
    shouldEvaluate(round)
      ? evaluate(method.evaluationModel(state), options.test, { onProgress: report(round, "evaluation") })
      : Promise.resolve(null);
  const { gpu } = state.model;
  const memory = planMemory(pretrained, state, options);
  const initial = yield* progress.until(test(0));
  yield {
    type: "initialized",
    method: method.name,
    trainableParameters: sizeOfAll(trainableParameters(state.model, method.trainable).values()),
    totalParameters: sizeOfAll([...state.model.namedParameters()].map(([, parameter]) => parameter)),
    memory,
    test: initial,
    seconds: (performance.now() - started) / 1000,
  };
  const names = matchLinears(pretrained, targets);
  const origin = effectiveWeights(pretrained, names);
  let before = effectiveWeights(state.model, names);
  const lastRounds = new Array<number>(options.clients.length).fill(0);
  let covariance: FactorCovariance | undefined;
  const { maxHeldBytes } = gpu;
  try {
    gpu.maxHeldBytes = Math.min(maxHeldBytes, memory.budgetBytes ?? Infinity);
    for (let round = 1; round <= rounds; round++) {
      const timer = new PhaseTimer();
      covariance = new FactorCovariance(state.model);
      const trained = yield* progress.until(
        trainRound(state, {
          ...options,
          cohortSize: memory.cohortSize,
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
      disposeAll(before.values());
      before = after;
      timer.lap("aggregation");
      const evaluation = yield* progress.until(test(round));
      timer.lap("evaluation");
      const { participants, trainLoss, bytesUp, bytesDown } = trained;
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
    gpu.maxHeldBytes = maxHeldBytes;
    covariance?.dispose();
    disposeAll(before.values());
    disposeAll(origin.values());
  }
}

function sizeOfAll(tensors: Iterable<Tensor>): number {
  let size = 0;
  for (const each of tensors) size += each.size;
  return size;
}
