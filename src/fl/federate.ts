import type { Gpu, Tensor } from "../engine/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import { checkMethodState, checkProgress } from "./_check_resume.ts";
import { cohort } from "./_cohort.ts";
import { EventQueue } from "./_event_queue.ts";
import { PhaseTimer } from "./_phase_timer.ts";
import { meanAggregator, meanOfEachAggregator } from "./aggregation/mean.ts";
import type { AggregatorFactory } from "./aggregation/aggregator.ts";
import { checkInFlight, nobodyInFlight } from "./asynchrony/in_flight.ts";
import type { Asynchrony } from "./asynchrony/options.ts";
import { playUpdate, type UpdateEnd } from "./update.ts";
import { clientModel } from "./client/client_model.ts";
import { type ClientStore, hostStore } from "./client/client_store.ts";
import type { FederationEvaluation, FederationEvent, RoundReport } from "./events.ts";
import type { Fleet } from "./fleet.ts";
import { checkLegality, companionsOf } from "./legality.ts";
import type { Measure, MeasureFactory } from "./measures/measure.ts";
import { type Method, personalNames, type RoundPlan, trainableParameters } from "./method.ts";
import { disposeOwn } from "./own_parameters.ts";
import type { Participants } from "./participants.ts";
import type { Stage } from "./privacy/stage.ts";
import { playRound, type RoundEnd, type RoundOptions } from "./round.ts";
import type { RunState } from "./run_state.ts";
import { pick, shapesOf, withParameters } from "./tensors.ts";
import { disposeTree, type Tree } from "./tree.ts";

/** What an evaluation is given beside the global model. */
export interface EvaluationContext {
  /** What clients keep. */
  readonly clients: ClientStore;
  readonly onProgress: (done: number, total: number) => void;
}

/** A run before its first round. */
export interface Prepared {
  readonly gpu: Gpu;
  /** The most clients that a round to come asks. */
  readonly largestCohort: number;
  /**
   * Plays the round that asks the most and its evaluation without the device, as `Gpu.rehearse` does.
   *
   * @returns the most bytes in use at once, beside those in use before.
   */
  rehearse(): Promise<number>;
}

/** Options of {@linkcode federate}. */
export interface FederationOptions<Memory = unknown> {
  readonly method: Method;
  /** Who trains. */
  readonly participants: Participants;
  /** Who is asked. */
  readonly fleet: Fleet;
  readonly rounds: number;
  readonly seed: number;
  /** Weighted means by default. */
  readonly aggregator?: AggregatorFactory | undefined;
  /** Has the server move without waiting for all that it asked, on a simulated clock; rounds are then its updates. Not by default. */
  readonly asynchrony?: Asynchrony | undefined;
  /** The server's part is done here, the clients' by the participants. */
  readonly stages?: readonly Stage[] | undefined;
  /** Where clients keep what they need in later rounds; in memory by default. A state that is resumed brings its own. */
  readonly store?: ClientStore | undefined;
  /** What is observed of each round; nothing by default. */
  readonly measures?: readonly MeasureFactory[] | undefined;
  /** How the global model is evaluated; not at all by default. */
  readonly evaluate?:
    | ((model: TaskModel, context: EvaluationContext) => Promise<FederationEvaluation>)
    | undefined;
  /** Evaluates every so many rounds, before the first and after the last; 1 by default, 0 for never. */
  readonly evaluateEvery?: number | undefined;
  /** Called before the first round. */
  readonly prepare?: ((run: Prepared) => Promise<Memory>) | undefined;
  /** Goes on from a state of the same run, whose tensors it takes over once it's started. */
  readonly resume?: RunState | undefined;
  /** Ends the run after a round. */
  readonly shouldStop?: ((report: RoundReport) => boolean) | undefined;
}

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
  const { method, fleet, resume, seed, asynchrony } = options;
  const started = performance.now();
  const queue = new EventQueue<FederationEvent<Memory>>();
  const running: Measure[] = [];
  const frozen = [...pretrained.namedParameters()].map(([, parameter]) => parameter);
  const free = (run: Run) => {
    disposeOwn(globalModel(run, method), pretrained);
    disposeTree(run.state.method, frozen);
  };
  let run: Run | undefined;
  let isTaken = false;
  try {
    checkLegality(method, companionsOf(options));
    const aggregator = chooseAggregator(options);
    if (asynchrony !== undefined) checkAsynchrony(options, asynchrony);
    const first = {
      round: 0,
      lastRounds: fleet.numExamples.map(() => 0),
      clients: options.store ?? hostStore(),
      ...(asynchrony && { inFlight: nobodyInFlight }),
    };
    if (resume !== undefined) {
      const numClients = fleet.numExamples.length;
      checkProgress(resume, {
        method,
        rounds: options.rounds,
        numClients,
        isAsynchronous: asynchrony !== undefined,
      });
    }
    const init = method.init(pretrained, {
      seed,
      numClients: fleet.numExamples.length,
      rounds: options.rounds,
      sampling: fleet.sampling,
      onProgress: (done, total) =>
        queue.push({ type: "progress", round: 0, phase: "initialization", done, total }),
    });
    const begun: Promise<Run> = init.then(({ model, state }) => ({
      model,
      frozen,
      state: { ...first, method: state },
    }));
    run = yield* queue.until(begun, free);
    for (const create of options.measures ?? []) running.push(create({ pretrained, initial: run.model }));
    checkMeasures(running, { ...options, aggregator });
    if (resume !== undefined) {
      checkMethodState(resume, { method, first: run.state.method });
      const { round: version, inFlight } = resume;
      const { trained, shared = trained } = method.plan(resume.method, version + 1);
      const { model } = run;
      const shapes = shapesOf(
        pick(new Map(globalModel({ model, state: resume }, method).namedParameters()), shared),
      );
      if (inFlight) {
        checkInFlight(inFlight, {
          method: method.name,
          numClients: fleet.numExamples.length,
          version,
          shapes,
        });
      }
      disposeTree(run.state.method, [...frozen, resume.method]);
      run.state = resume;
    }
    yield* playRounds(run, { ...options, aggregator, running, queue, started });
    const { state, model } = { state: run.state, model: globalModel(run, method) };
    const plan = method.plan(state.method, state.round + 1);
    const kept = [...frozen, method.parameters(state.method)];
    isTaken = true;
    disposeTree(state.method, kept);
    yield {
      type: "finished",
      model,
      clientModel: (id) =>
        clientModel(model, {
          plan,
          store: state.clients,
          client: { id, numExamples: fleet.numExamples[id]!, lastRound: state.lastRounds[id]! },
        }),
    };
  } finally {
    for (const measure of running) measure.close?.();
    if (!isTaken && run !== undefined) free(run);
    if (!isTaken && resume !== undefined) disposeTree(resume.method, run?.state.method);
  }
}

/** A run on its way. */
interface Run {
  /** What the method made of the pretrained model. */
  readonly model: TaskModel;
  /** Parameters of the pretrained model, which the run leaves alone. */
  readonly frozen: readonly Tensor[];
  state: RunState;
}

interface PlayOptions<Memory> extends FederationOptions<Memory> {
  readonly aggregator: AggregatorFactory;
  readonly running: readonly Measure[];
  readonly queue: EventQueue<FederationEvent<Memory>>;
  readonly started: number;
}

/** Evaluates the state, and plays and evaluates it round by round. */
async function* playRounds<Memory>(
  run: Run,
  options: PlayOptions<Memory>,
): AsyncGenerator<FederationEvent<Memory>, void> {
  const {
    method,
    rounds,
    fleet,
    resume,
    asynchrony,
    evaluateEvery = 1,
    shouldStop,
    running,
    queue,
    started,
  } = options;
  const { gpu } = run.model;
  const report = (round: number, phase: "training" | "evaluation") => (done: number, total: number) =>
    queue.push({ type: "progress", round, phase, done, total });
  const evaluate = (round: number): Promise<FederationEvaluation> =>
    options.evaluate?.(globalModel(run, method), {
      clients: run.state.clients,
      onProgress: report(round, "evaluation"),
    }) ?? Promise.resolve({ test: null });
  const isEvaluated = (round: number) =>
    evaluateEvery > 0 && (round % evaluateEvery === 0 || round === rounds);
  const play = (
    round: number,
    { timer, onProgress, like = round, state = run.state.method }:
      & Pick<RoundOptions, "timer" | "onProgress">
      & {
        /** The round whose cohort it has. */
        readonly like?: number;
        /** What it starts from; by default where the run is. */
        readonly state?: Tree;
      },
  ): Promise<RoundEnd & Partial<UpdateEnd>> => {
    const { model, state: { clients: store, lastRounds, inFlight = nobodyInFlight } } = run;
    const common = { ...options, measures: running, round, timer, onProgress };
    return asynchrony
      ? playUpdate({ model, state, store, inFlight }, { ...common, asynchrony, lastRounds })
      : playRound({ model, state, store }, {
        ...common,
        stages: options.stages ?? [],
        clients: cohort(fleet, like, lastRounds),
      });
  };
  const like = asynchrony ? run.state.round + 1 : largestRound(options, run.state.round + 1);
  const memory = await options.prepare?.({
    gpu,
    largestCohort: asynchrony?.inFlight ?? fleet.sample(like).length,
    rehearse: () =>
      gpu.rehearse(async () => {
        const first = run.state.round + 1;
        const { state } = await play(first, { timer: new PhaseTimer(), like });
        // A round that only looks, such as one that gathers a gradient, says nothing of those that train.
        if (
          first < rounds && !sameNames(method.plan(run.state.method, first), method.plan(state, first + 1))
        ) {
          const { state: next } = await play(first + 1, { timer: new PhaseTimer(), like, state });
          disposeTree(next, [state, run.state.method]);
        }
        disposeTree(state, run.state.method);
        if (evaluateEvery > 0) await evaluate(run.state.round);
      }),
  });
  const first = resume === undefined && isEvaluated(0) ? yield* queue.until(evaluate(0)) : { test: null };
  yield {
    type: "initialized",
    method: method.name,
    trainableParameters: sizeOfTrained(run, method),
    isPersonal: personalNames(method.plan(run.state.method, run.state.round + 1)).length > 0,
    totalParameters: sizeOfAll([...run.model.namedParameters()].map(([, parameter]) => parameter)),
    ...(memory !== undefined && { memory }),
    ...first,
    seconds: (performance.now() - started) / 1000,
    model: globalModel(run, method),
  };
  while (run.state.round < rounds) {
    const round = run.state.round + 1;
    const timer = new PhaseTimer();
    method.checkRound?.(run.state.method, round);
    const { state, store, lost, inFlight, asked, ...figures } = yield* queue.until(
      play(round, { timer, onProgress: report(round, "training") }),
      ({ state }) => disposeTree(state, run.state.method),
    );
    disposeTree(run.state.method, [...run.frozen, state]);
    run.state = {
      round,
      method: state,
      lastRounds: run.state.lastRounds.map((last, id) =>
        (asked ?? figures.participants).includes(id) ? round : last
      ),
      clients: store,
      ...(inFlight && { inFlight }),
    };
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
    yield { type: "round", report: finished, state: run.state, model: globalModel(run, method) };
    if (shouldStop?.(finished)) return;
  }
}

/** Of the rounds from one on, the first with the most clients. */
function largestRound({ fleet, rounds }: Pick<FederationOptions, "fleet" | "rounds">, first: number): number {
  let [largest, most] = [first, 0];
  for (let round = first; round <= rounds; round++) {
    const { length } = fleet.sample(round);
    if (length > most) [largest, most] = [round, length];
    // Others can't have more.
    if (fleet.sampling?.kind === "uniform") break;
  }
  return largest;
}

/** @throws {TypeError} when what must see each client's upload doesn't get it. */
function chooseAggregator(
  { method, aggregator, stages = [] }: Pick<FederationOptions, "method" | "aggregator" | "stages">,
): AggregatorFactory {
  const { sees = "sum" } = method;
  const chosen = aggregator ?? (sees === "each" ? meanOfEachAggregator : meanAggregator);
  if (sees === "each" && chosen.sees === "sum") {
    throw new TypeError(
      `Cannot run ${method.name} with aggregator ${chosen.name}: the method combines the uploads of each client, ` +
        "the aggregator gives sums alone",
    );
  }
  const hiding = hidingOf({ method, stages });
  if (hiding !== undefined && chosen.sees === "each" && sees === "sum") {
    throw new TypeError(
      `Cannot run ${chosen.name} with ${hiding.name}: it looks at the upload of each client, and ${hiding.name} lets ` +
        "the server see sums alone; leave one of them out",
    );
  }
  return chosen;
}

/** Whether two rounds train the same. */
function sameNames(one: RoundPlan, other: RoundPlan): boolean {
  return one.trained.length === other.trained.length &&
    one.trained.every((name, i) => other.trained[i] === name);
}

/** @throws {TypeError} for what an asynchronous server has no use for. */
function checkAsynchrony(
  { method, aggregator, stages = [] }: Pick<FederationOptions, "method" | "aggregator" | "stages">,
  { kind }: Asynchrony,
): void {
  const serving = stages.find(({ server }) => server !== undefined);
  const other = aggregator?.name ?? serving?.name;
  if (other === undefined) return;
  throw new TypeError(
    `Cannot run ${method.name} with ${kind} and ${other}: ${kind} itself combines what arrives, of several models; leave one of them out`,
  );
}

function checkMeasures(
  measures: readonly Measure[],
  options: Pick<PlayOptions<unknown>, "method" | "stages" | "aggregator" | "asynchrony">,
): void {
  const hiding = hidingOf(options) ??
    (options.aggregator.brings === "secureAggregation" ? options.aggregator : undefined);
  const seeing = measures.find(({ seesEach }) => seesEach);
  if (options.asynchrony !== undefined && seeing !== undefined) {
    throw new TypeError(
      `Cannot measure ${seeing.name} with asynchrony: it compares uploads of one round, and these are of several models; leave the measure out`,
    );
  }
  if (hiding === undefined || seeing === undefined) return;
  throw new TypeError(
    `Cannot measure ${seeing.name} with ${hiding.name}: it looks at the upload of each client, and ` +
      `${hiding.name} lets the server see sums alone; leave the measure out`,
  );
}

/** What lets nothing look at a single client's upload, if anything does. */
function hidingOf(
  { method, stages = [] }: Pick<FederationOptions, "method" | "stages">,
): { readonly name: string } | undefined {
  return method.brings === "differentialPrivacy" ? method : stages.find(({ hidesClients }) => hidesClients);
}

function globalModel({ model, state }: Pick<Run, "model" | "state">, method: Method): TaskModel {
  return withParameters(model, method.parameters(state.method));
}

function sizeOfTrained(run: Run, method: Method): number {
  const trained = new Set(method.plan(run.state.method, run.state.round + 1).trained);
  return sizeOfAll(trainableParameters(globalModel(run, method), (name) => trained.has(name)).values());
}

function sizeOfAll(tensors: Iterable<Tensor>): number {
  let size = 0;
  for (const each of tensors) size += each.size;
  return size;
}
