import type { Tensor } from "../engine/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import type { ClientStore } from "./client/client_store.ts";
import type { Client, RoundPlan } from "./method.ts";
import type { Tensors } from "./tensors.ts";

/** What the clients of a round are asked to do. */
export interface RoundWork {
  readonly round: number;
  readonly plan: RoundPlan;
  /** The cohort, in the order of client numbers. */
  readonly clients: readonly Client[];
  /** The global model at the start of the round. */
  readonly model: TaskModel;
  /** What clients kept from earlier rounds. */
  readonly store: ClientStore;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Clients that are done, in the order of their numbers; the receiver owns the tensors. */
export interface Finished {
  readonly clients: readonly Client[];
  /** What the server has decoded, [C, ...] by name. */
  readonly values: Tensors;
  /** What each keeps until its next round, [C, ...] by name. */
  readonly keep: Tensors;
  /** Mean training loss of each over its steps. */
  readonly losses: readonly number[];
  /** Bytes of each one's upload and download. */
  readonly bytesUp: readonly number[];
  readonly bytesDown: readonly number[];
}

/** A client that the round goes on without. */
export interface Lost {
  readonly client: Client;
  readonly phase: "download" | "training" | "upload";
  readonly reason: string;
}

/** What became of clients. */
export type Outcome = Finished | Lost;

/**
 * Who trains: clients simulated in this process, workers elsewhere, nodes of a real federation. The round can't tell.
 * Outcomes come in any order, each client in one of them; a client that is in none is lost.
 */
export interface Participants {
  /** Has the cohort train. */
  train(work: RoundWork): AsyncIterable<Outcome>;
}

/** Whether a client was lost. */
export function isLost(outcome: Outcome): outcome is Lost {
  return "client" in outcome;
}

/** Tensors of an outcome. */
export function tensorsOfOutcome({ values, keep }: Finished): Tensor[] {
  return [...values.values(), ...keep.values()];
}
