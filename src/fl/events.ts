import type { Evaluation, TaskModel } from "../tasks/mod.ts";
import type { Staleness } from "./asynchrony/in_flight.ts";
import type { PhaseSeconds } from "./phase_timer.ts";
import type { ClientScores } from "./client/client_scores.ts";
import type { Lost } from "./participants.ts";
import type { PrivacyReport } from "./privacy/privacy_report.ts";
import type { RunState } from "./run_state.ts";

/** How a global model does, and how clients do with what they have of their own. */
export interface FederationEvaluation {
  /** The global model on the common test set. */
  readonly test: Evaluation | null;
  /** Each client on test data of its own. */
  readonly clients?: ClientScores;
}

/** Everything that is known of a finished round. */
export interface RoundReport {
  /** From 1. */
  readonly round: number;
  /** Clients that took part, ascending. */
  readonly participants: readonly number[];
  /** Clients that were asked and lost. */
  readonly lost: readonly number[];
  /** Why the global model stayed as it was though clients came through, such as too few for a robust rule. */
  readonly refused?: string;
  /** Mean of the clients' mean local losses, weighted by examples, in nats; null when every client was lost. */
  readonly trainLoss: number | null;
  /** The global model on the test set; null in rounds that are not evaluated. */
  readonly test: Evaluation | null;
  /** Scores over clients, where clients have test data of their own, in rounds that are evaluated. */
  readonly clients?: ClientScores;
  /** Bytes of all payloads from the clients. */
  readonly bytesUp: number;
  /** Bytes of all payloads to the clients. */
  readonly bytesDown: number;
  /** Where the server is asynchronous, the simulated seconds since the start. */
  readonly simulatedSeconds?: number;
  /** And how many updates came between the start of those that took part and their arrival; null where nobody did. */
  readonly staleness?: Staleness | null;
  /** Figures of the run's measures by name. */
  readonly measures: Readonly<Record<string, number | null>>;
  /** What clients' privacy has cost up to this round, where it is protected. */
  readonly privacy?: PrivacyReport;
  /** Bytes of GPU buffers in use after the round. */
  readonly liveBytes: number;
  /** Wall-clock seconds by phase. */
  readonly seconds: Readonly<PhaseSeconds>;
}

/** What a federation reports as it goes. */
export type FederationEvent<Memory = unknown> =
  | {
    readonly type: "initialized";
    readonly method: string;
    /** Values that a client trains. */
    readonly trainableParameters: number;
    /** Values of the model, adapters included. */
    readonly totalParameters: number;
    /** Whether clients keep some of what they train, so that only their own models have been trained whole. */
    readonly isPersonal: boolean;
    /** What `prepare` found, where there was one. */
    readonly memory?: Memory;
    /** The global model before the first round; null in a run that was resumed. */
    readonly test: Evaluation | null;
    readonly clients?: ClientScores;
    readonly seconds: number;
    /** The global model that the next round starts from. Its tensors live until the next round ends. */
    readonly model: TaskModel;
  }
  | {
    readonly type: "progress";
    readonly round: number;
    readonly phase: "initialization" | "training" | "evaluation";
    readonly done: number;
    readonly total: number;
  }
  | { readonly type: "client-lost"; readonly round: number; readonly lost: Lost }
  | {
    readonly type: "round";
    readonly report: RoundReport;
    /** All that is needed to go on from here. Its tensors live until the next round ends. */
    readonly state: RunState;
    /** The global model after the round, of the same tensors. */
    readonly model: TaskModel;
  }
  | {
    readonly type: "finished";
    readonly model: TaskModel;
    /**
     * The model that a client has: with what it keeps of its own, and adapters of its own rank. `disposeOwn(itsModel, model)` frees
     * it; the global model must live until then.
     */
    clientModel(client: number): Promise<TaskModel>;
  };
