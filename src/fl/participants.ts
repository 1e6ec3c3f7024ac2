import { disposeAll, slice, type Tensor } from "../engine/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import type { ClientStore } from "./client/client_store.ts";
import type { Client, RoundPlan } from "./method.ts";
import type { Tensors } from "./tensors.ts";
import type { Tree } from "./tree.ts";

/** What the clients of a round are asked to do. */
export interface RoundWork {
  readonly round: number;
  readonly plan: RoundPlan;
  /** The cohort, in the order of client numbers. */
  readonly clients: readonly Client[];
  /** The global model at the start of the round. */
  readonly model: TaskModel;
  /** The method's state that the plan follows from, for participants that make the plan again elsewhere. */
  readonly state: Tree;
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
  /** Whether who decoded the values has found all of them finite, so that nobody needs to look again. */
  readonly isFinite?: boolean;
}

/** A client that the round goes on without. */
export interface Lost {
  readonly client: Client;
  readonly phase: "download" | "training" | "upload";
  readonly reason: string;
  /** Whether its training came out not finite. A round in which nobody came through, some for that, ends the run. */
  readonly diverged?: boolean;
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

/** The members of an outcome from one on, up to another; its tensors may share memory with the whole. */
export function cutOutcome(outcome: Finished, start: number, end: number): Finished {
  const part = <T>(items: readonly T[]) => items.slice(start, end);
  const rows = (tensors: Tensors) =>
    new Map([...tensors].map(([name, each]): [string, Tensor] => [name, slice(each, { start, end })]));
  const { clients, values, keep, losses, bytesUp, bytesDown, ...rest } = outcome;
  return {
    ...rest,
    clients: part(clients),
    values: rows(values),
    keep: rows(keep),
    losses: part(losses),
    bytesUp: part(bytesUp),
    bytesDown: part(bytesDown),
  };
}

/** An outcome without some members, in pieces; it is freed unless it is all there. */
export function withoutMembers(outcome: Finished, isLeftOut: ReadonlyMap<number, unknown>): Finished[] {
  if (isLeftOut.size === 0) return [outcome];
  const pieces: Finished[] = [];
  const count = outcome.clients.length;
  for (let from = 0; from < count; from++) {
    if (isLeftOut.has(from)) continue;
    let to = from + 1;
    while (to < count && !isLeftOut.has(to)) to++;
    pieces.push(cutOutcome(outcome, from, to));
    from = to;
  }
  disposeAll(tensorsOfOutcome(outcome));
  return pieces;
}
