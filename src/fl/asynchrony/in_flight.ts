import { sameShape } from "../../engine/mod.ts";
import type { Client } from "../method.ts";
import type { HostTensors, Shapes } from "../tensors.ts";

/** What is known of a client in flight beside tensors. */
export interface FlightRecord {
  /** As it was asked. */
  readonly client: Client;
  /** Updates that the model it started from had seen. */
  readonly version: number;
  /** When what it sends is there, in simulated seconds since the start. */
  readonly arrival: number;
  /** Mean training loss over its steps. */
  readonly loss: number;
  /** Of its upload. */
  readonly bytesUp: number;
}

/** A client whose upload the server hasn't used yet. It has trained; only the simulated clock hasn't come that far. */
export interface Flight extends FlightRecord {
  /** What the server has of it once it arrives: its change y − x for FedBuff, its values y for FedAsync. */
  readonly sent: HostTensors;
  /** What the client keeps from then on. */
  readonly keep: HostTensors;
}

/** Who trains between two updates of an asynchronous run. */
export interface InFlight {
  /** Simulated seconds since the start. */
  readonly seconds: number;
  /** In the order of client numbers. */
  readonly flights: readonly Flight[];
}

/** How many updates came between a client's start and its arrival. */
export interface Staleness {
  readonly mean: number;
  readonly most: number;
}

/** Before the first update. */
export const nobodyInFlight: InFlight = { seconds: 0, flights: [] };

/** What a state must fit to be gone on from. */
export interface InFlightContext {
  readonly method: string;
  readonly numClients: number;
  /** Updates done. */
  readonly version: number;
  /** Of what is shared. */
  readonly shapes: Shapes;
}

/**
 * Makes sure that the clients in flight are those of a run.
 *
 * @throws {TypeError} or {RangeError} naming what isn't.
 */
export function checkInFlight({ flights }: InFlight, context: InFlightContext): void {
  const { method, numClients, version, shapes } = context;
  for (const { client: { id }, version: own, sent } of flights) {
    if (!(id < numClients && own < version)) {
      throw new RangeError(
        `Cannot resume ${method}: the state has client ${id} in flight with version ${own}, and there are ${numClients} clients and ${version} updates`,
      );
    }
    for (const [name, { shape }] of sent) {
      const wanted = shapes.get(name);
      if (wanted !== undefined && sameShape(wanted, shape)) continue;
      throw new TypeError(
        `Cannot resume ${method}: client ${id} in flight has ${name}, which isn't trained so`,
      );
    }
  }
}
