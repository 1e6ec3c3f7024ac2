import type { Lost } from "../../../../fl/mod.ts";
import type { Evaluation, TaskModel } from "../../../../tasks/mod.ts";

/** Bytes of payloads so far. */
export interface ParticipantTraffic {
  /** Of what it has trained: all that it sends of its data. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** What a participant reports as it goes. */
export type ParticipantEvent =
  | { readonly type: "joined"; readonly isBack: boolean }
  | { readonly type: "waiting"; readonly reason: string }
  | {
    readonly type: "round";
    readonly round: number;
    readonly learningRate: number;
    readonly bytesDown: number;
  }
  | { readonly type: "scores"; readonly round: number; readonly evaluation: Evaluation }
  | { readonly type: "progress"; readonly round: number; readonly done: number; readonly total: number }
  | {
    readonly type: "sent";
    readonly round: number;
    readonly loss: number;
    readonly bytesUp: number;
    readonly traffic: ParticipantTraffic;
  }
  | {
    readonly type: "round-lost";
    readonly round: number;
    readonly phase: Lost["phase"];
    readonly reason: string;
  }
  | {
    readonly type: "ended";
    readonly isFinished: boolean;
    readonly reason: string;
    /** The global model with what the participant keeps to itself, where the host shares it; it lives until the generator goes on. */
    readonly model?: TaskModel;
    readonly traffic: ParticipantTraffic;
  };
