import type { Tensor } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { checkMethodState } from "./check_resume.ts";
import { cohort } from "../rounds/cohort.ts";
import type { AggregatorFactory } from "../aggregation/aggregator.ts";
import { nobodyInFlight } from "../asynchrony/in_flight.ts";
import { hostStore } from "../client/client_store.ts";
import type { FederationOptions } from "./options.ts";
import type { Measure, MeasureFactory } from "../measures/measure.ts";
import type { InitContext, RoundPlan } from "../method.ts";
import { disposeOwn } from "../own_parameters.ts";
import { playRound, type RoundEnd, type RoundOptions } from "../rounds/round.ts";
import type { RunState } from "../run_state.ts";
import { withParameters } from "../tensors.ts";
import { disposeTree, type Tree } from "../tree.ts";
import { playUpdate, type UpdateEnd } from "../rounds/update.ts";

/** What a run is made of. */
export interface RunOptions extends
  Pick<
    FederationOptions,
    "method" | "participants" | "fleet" | "rounds" | "seed" | "asynchrony" | "stages" | "store"
  > {
  readonly aggregator: AggregatorFactory;
}

/** How a round is played. */
export interface PlayOptions extends Pick<RoundOptions, "timer" | "onProgress"> {
  /** The round whose cohort it has; its own by default. */
  readonly like?: number;
  /** What it starts from; by default where the run is. */
  readonly from?: Tree;
}

/** What a round ends with, or an update of an asynchronous server. */
export type PlayEnd = RoundEnd & Partial<UpdateEnd>;

/** A run on its way: what the method made of the pretrained model, and what lives between rounds. */
export class Run {
  /** The pretrained model with what the method put on it. */
  readonly model: TaskModel;
  /** What is observed of its rounds. */
  readonly measures: Measure[] = [];
  readonly #pretrained: TaskModel;
  readonly #options: RunOptions;
  /** Parameters of the pretrained model, which the run leaves alone. */
  readonly #frozen: readonly Tensor[];
  #state: RunState;

  private constructor(
    pretrained: TaskModel,
    options: RunOptions,
    begun: { readonly model: TaskModel; readonly state: RunState },
  ) {
    this.#pretrained = pretrained;
    this.#options = options;
    this.#frozen = [...pretrained.namedParameters()].map(([, parameter]) => parameter);
    this.model = begun.model;
    this.#state = begun.state;
  }

  /** Puts on the pretrained model what clients train. */
  static async begin(
    pretrained: TaskModel,
    { onProgress, ...options }: RunOptions & Pick<InitContext, "onProgress">,
  ): Promise<Run> {
    const { method, fleet, rounds, seed, store = hostStore(), asynchrony } = options;
    const { numExamples: { length: numClients }, sampling } = fleet;
    const { model, state } = await method.init(pretrained, {
      seed,
      numClients,
      rounds,
      sampling,
      onProgress,
    });
    const lastRounds = new Array<number>(numClients).fill(0);
    const inFlight = asynchrony && { inFlight: nobodyInFlight };
    return new Run(pretrained, options, {
      model,
      state: { round: 0, method: state, lastRounds, clients: store, ...inFlight },
    });
  }

  /** All that lives between rounds. */
  get state(): RunState {
    return this.#state;
  }

  /** The global model, of the state's tensors. */
  get global(): TaskModel {
    return withParameters(this.model, this.#options.method.parameters(this.#state.method));
  }

  /** What the clients of the next round do. */
  get plan(): RoundPlan {
    return this.#options.method.plan(this.#state.method, this.#state.round + 1);
  }

  /** Begins to observe. */
  measure(factories: readonly MeasureFactory[]): void {
    for (const create of factories) {
      this.measures.push(create({ pretrained: this.#pretrained, initial: this.model }));
    }
  }

  /**
   * Goes on from another state of the same run, whose tensors it takes over.
   *
   * @throws {TypeError} or {RangeError} as {@linkcode checkMethodState}.
   */
  resume(state: RunState): void {
    checkMethodState(state, { ...this.#options, model: this.model, first: this.#state.method });
    this.#moveTo(state);
  }

  /** Plays a round or update, and leaves the run where it is. */
  play(round: number, { like = round, from, ...rest }: PlayOptions): Promise<PlayEnd> {
    const { fleet, asynchrony, stages = [] } = this.#options;
    const { method, clients: store, lastRounds, inFlight = nobodyInFlight } = this.#state;
    const start = { model: this.model, state: from ?? method, store };
    const common = { ...this.#options, ...rest, measures: this.measures, round };
    return asynchrony
      ? playUpdate({ ...start, inFlight }, { ...common, asynchrony, lastRounds })
      : playRound(start, { ...common, stages, clients: cohort(fleet, like, lastRounds) });
  }

  /** Goes on to what a round ended with. */
  advance(round: number, { state, store, inFlight, asked, participants, refused }: PlayEnd): void {
    // What clients have from a round that came to nothing, they forget with it.
    const present = asked ?? (refused === undefined ? participants : []);
    this.#moveTo({
      round,
      method: state,
      lastRounds: this.#state.lastRounds.map((last, id) => present.includes(id) ? round : last),
      clients: store,
      ...(inFlight && { inFlight }),
    });
  }

  /** Frees all but the global model, which is the caller's then. */
  finish(): void {
    const { method } = this.#state;
    disposeTree(method, [...this.#frozen, this.#options.method.parameters(method)]);
  }

  /** Frees what isn't the pretrained model's. */
  free(): void {
    disposeOwn(this.global, this.#pretrained);
    disposeTree(this.#state.method, this.#frozen);
  }

  #moveTo(state: RunState): void {
    disposeTree(this.#state.method, [...this.#frozen, state.method]);
    this.#state = state;
  }
}
