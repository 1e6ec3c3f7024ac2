import type { Evaluation, TaskModel } from "../tasks/mod.ts";
import type { RoundDynamics } from "./dynamics.ts";
import type { MemoryPlan } from "./memory.ts";

/** Everything that is known of a finished round. */
export interface RoundReport extends RoundDynamics {
  /** From 1. */
  readonly round: number;
  /** Clients that took part, in ascending order. */
  readonly participants: readonly number[];
  /** Mean of the clients' mean local losses, weighted by examples, in nats. */
  readonly trainLoss: number;
  /** The global model on the test set; null in rounds that are not evaluated. */
  readonly test: Evaluation | null;
  /** Bytes of all encoded payloads from the clients. */
  readonly bytesUp: number;
  /** Bytes of all encoded payloads to the clients. */
  readonly bytesDown: number;
  /** Bytes of GPU buffers in use after the round. */
  readonly liveBytes: number;
  /** Wall-clock seconds by phase. */
  readonly seconds: {
    readonly broadcast: number;
    readonly training: number;
    readonly aggregation: number;
    readonly evaluation: number;
  };
}

/** What {@linkcode simulate} tells as it goes. */
export type SimulationEvent =
  | {
    readonly type: "initialized";
    readonly method: string;
    /** Values that a client trains and uploads. */
    readonly trainableParameters: number;
    /** Values of the model, adapters included. */
    readonly totalParameters: number;
    /** How many clients train at once, and the memory that the rounds will take. */
    readonly memory: MemoryPlan;
    /** The global model before the first round. */
    readonly test: Evaluation | null;
    readonly seconds: number;
  }
  | {
    readonly type: "progress";
    readonly round: number;
    readonly phase: "initialization" | "training" | "evaluation";
    readonly done: number;
    readonly total: number;
  }
  | { readonly type: "round"; readonly report: RoundReport }
  | { readonly type: "finished"; readonly model: TaskModel };
