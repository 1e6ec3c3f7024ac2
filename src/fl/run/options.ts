import type { Gpu } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { AggregatorFactory } from "../aggregation/aggregator.ts";
import type { Asynchrony } from "../asynchrony/options.ts";
import type { ClientStore } from "../client/client_store.ts";
import type { FederationEvaluation, RoundReport } from "../events.ts";
import type { Fleet } from "../fleet.ts";
import type { MeasureFactory } from "../measures/measure.ts";
import type { Method, RoundPlan } from "../method.ts";
import type { Participants } from "../participants.ts";
import type { Stage } from "../privacy/stage.ts";
import type { RunState } from "../run_state.ts";

/** What an evaluation is given beside the global model. */
export interface EvaluationContext {
  /** What clients keep. */
  readonly clients: ClientStore;
  /** What the clients of the next round do: what each would download of the model follows from it. */
  readonly plan: RoundPlan;
  /** The last round that each client took part in. */
  readonly lastRounds: readonly number[];
  /** Rounds done. */
  readonly round: number;
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

/** Options of `federate`. */
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
