import type { Tensor } from "../engine/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import { checkMeasures, checkParts } from "./run/check_parts.ts";
import { checkProgress } from "./run/check_resume.ts";
import { EventQueue } from "./run/event_queue.ts";
import { PhaseTimer } from "./phase_timer.ts";
import { rehearsal } from "./run/rehearsal.ts";
import { Run } from "./run/run.ts";
import { clientModel } from "./client/client_model.ts";
import type { FederationEvaluation, FederationEvent, RoundReport } from "./events.ts";
import type { FederationOptions } from "./run/options.ts";
import { personalNames } from "./method.ts";
import { pick } from "./tensors.ts";
import { disposeTree } from "./tree.ts";

export type { EvaluationContext, FederationOptions, Prepared } from "./run/options.ts";

/**
 * Runs a federation: each round asks a cohort, aggregates what it sends and evaluates. All that lives between rounds is in the
 * {@linkcode RunState} of the round's event: stop anywhere, resume, and the bits are the same.
 *
 * Progress bars, files and early stopping are consumers of the events. The consumer owns the tensors of the `finished` model; those
 * of earlier events live until the next.
 *
 * @throws {TypeError} when the method or a measure must see each client's upload and a stage hides them, or an aggregator gives sums alone.
 * @throws {TypeError} or {RangeError} when `resume` is the state of another method, of other shapes or of other clients.
 * @throws {TypeError} when an asynchronous server has an aggregator, a stage of its own, or a measure that compares uploads.
 * @throws {NonFiniteError} when a client's loss or upload is no longer finite.
 */
export async function* federate<Memory>(
  pretrained: TaskModel,
  options: FederationOptions<Memory>,
): AsyncGenerator<FederationEvent<Memory>> {
  const { fleet, resume } = options;
  const started = performance.now();
  const queue = new EventQueue<FederationEvent<Memory>>();
  let run: Run | undefined;
  let isTaken = false;
  try {
    const aggregator = checkParts(options);
    if (resume !== undefined) checkProgress(resume, options);
    const begun = Run.begin(pretrained, {
      ...options,
      aggregator,
      onProgress: (done, total) =>
        queue.push({ type: "progress", round: 0, phase: "initialization", done, total }),
    });
    run = yield* queue.until(begun, (run) => run.free());
    run.measure(options.measures ?? []);
    checkMeasures(run.measures, { ...options, aggregator });
    if (resume !== undefined) run.resume(resume);
    yield* playRounds(run, { ...options, queue, started });
    const { global, plan, state: { clients, lastRounds } } = run;
    isTaken = true;
    run.finish();
    yield {
      type: "finished",
      model: global,
      clientModel: (id) =>
        clientModel(global, {
          plan,
          store: clients,
          client: { id, numExamples: fleet.numExamples[id]!, lastRound: lastRounds[id]! },
        }),
    };
  } finally {
    for (const measure of run?.measures ?? []) measure.close?.();
    if (!isTaken) run?.free();
    if (!isTaken && resume !== undefined) disposeTree(resume.method, run?.state.method);
  }
}

interface PlayRoundsOptions<Memory> extends FederationOptions<Memory> {
  readonly queue: EventQueue<FederationEvent<Memory>>;
  readonly started: number;
}

/** Evaluates the state, and plays and evaluates it round by round. */
async function* playRounds<Memory>(
  run: Run,
  options: PlayRoundsOptions<Memory>,
): AsyncGenerator<FederationEvent<Memory>, void> {
  const { method, rounds, resume, evaluateEvery = 1, shouldStop, queue, started } = options;
  const { gpu } = run.model;
  const report = (round: number, phase: "training" | "evaluation") => (done: number, total: number) =>
    queue.push({ type: "progress", round, phase, done, total });
  const evaluate = (round: number): Promise<FederationEvaluation> =>
    options.evaluate?.(run.global, {
      clients: run.state.clients,
      plan: run.plan,
      lastRounds: run.state.lastRounds,
      round,
      onProgress: report(round, "evaluation"),
    }) ?? Promise.resolve({ test: null });
  const isEvaluated = (round: number) =>
    evaluateEvery > 0 && (round % evaluateEvery === 0 || round === rounds);
  const memory = await options.prepare?.(
    rehearsal(run, {
      ...options,
      evaluate: evaluateEvery > 0 ? () => evaluate(run.state.round) : undefined,
    }),
  );
  const first = resume === undefined && isEvaluated(0) ? yield* queue.until(evaluate(0)) : { test: null };
  yield {
    type: "initialized",
    method: method.name,
    ...sizesOf(run),
    ...(memory !== undefined && { memory }),
    ...first,
    seconds: (performance.now() - started) / 1000,
    model: run.global,
  };
  while (run.state.round < rounds) {
    const round = run.state.round + 1;
    const timer = new PhaseTimer();
    method.checkRound?.(run.state.method, round);
    const before = run.state.method;
    const end = yield* queue.until(
      run.play(round, { timer, onProgress: report(round, "training") }),
      ({ state }) => disposeTree(state, before),
    );
    run.advance(round, end);
    const { state: _, store: __, inFlight: ___, asked: ____, lost, ...figures } = end;
    for (const each of lost) yield { type: "client-lost", round, lost: each };
    const evaluation = isEvaluated(round) ? yield* queue.until(evaluate(round)) : { test: null };
    timer.lap("evaluation");
    const finished: RoundReport = {
      round,
      ...figures,
      lost: lost.map(({ client }) => client.id),
      ...evaluation,
      ...(method.privacy && { privacy: method.privacy(run.state.method, round) }),
      liveBytes: gpu.stats().liveBytes,
      seconds: timer.seconds,
    };
    yield { type: "round", report: finished, state: run.state, model: run.global };
    if (shouldStop?.(finished)) return;
  }
}

/** What a client trains, and all there is. */
function sizesOf({ model, global, plan }: Run) {
  const trained = pick(new Map(global.namedParameters()), plan.trained);
  return {
    trainableParameters: sizeOfAll(trained.values()),
    isPersonal: personalNames(plan).length > 0,
    totalParameters: sizeOfAll([...model.namedParameters()].map(([, parameter]) => parameter)),
  };
}

function sizeOfAll(tensors: Iterable<Tensor>): number {
  let size = 0;
  for (const each of tensors) size += each.size;
  return size;
}
