import { randomKey, RandomStream } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { cohort } from "./cohort.ts";
import { collect } from "./collect.ts";
import type { ClientStore } from "../client/client_store.ts";
import { uploadShapes } from "../client/upload_shapes.ts";
import type { Fleet } from "../fleet.ts";
import { type Client, type Method, type RoundPlan, sharedNames } from "../method.ts";
import type { Finished, Lost } from "../participants.ts";
import type { RoundOptions } from "./round.ts";
import { hostMember, type HostTensor, type HostTensors, toHost } from "../tensors.ts";
import type { Tree } from "../tree.ts";
import type { Flight, InFlight } from "../asynchrony/in_flight.ts";
import type { Asynchrony } from "../asynchrony/options.ts";

/** What an update has beside what a round has. */
export interface UpdateOptions extends Omit<RoundOptions, "clients" | "aggregator" | "stages"> {
  readonly asynchrony: Asynchrony;
  readonly fleet: Fleet;
  /** The last update before which each client was asked. */
  readonly lastRounds: readonly number[];
}

/** What clients start from. */
export interface DepartureContext {
  readonly plan: RoundPlan;
  readonly global: TaskModel;
  readonly store: ClientStore;
  /** Who is on the way already. */
  readonly inFlight: InFlight;
  /** The method's state. */
  readonly state: Tree;
  /** The global values on the host; none in a rehearsal. */
  readonly x: HostTensors | undefined;
}

/** Who has left, and with what. */
export interface Departures {
  readonly departed: readonly Flight[];
  readonly lost: readonly Lost[];
  /** Of all downloads. */
  readonly bytesDown: number;
}

/**
 * Asks clients until M are in flight, and has them train at once; what they send waits on the host.
 *
 * @throws {TypeError} when clients of the method send something else than values of what is shared.
 */
export async function depart(
  { plan, global, state, store, inFlight, x }: DepartureContext,
  options: UpdateOptions,
): Promise<Departures> {
  const { method, participants, round, timer, onProgress, asynchrony } = options;
  const clients = draw(inFlight.flights, options);
  const [client] = clients;
  if (client === undefined) return { departed: [], lost: [], bytesDown: 0 };
  const expected = await uploadShapes(global, plan, { client });
  checkSent([...expected.keys()], { plan, method });
  const departed: Flight[] = [];
  let bytesDown = 0;
  const use = async (finished: Finished) => {
    const own = x && await toHost(finished.values);
    const kept = x && await toHost(finished.keep);
    const count = finished.clients.length;
    const memberOf = (tensors: HostTensors | undefined, member: number) =>
      tensors === undefined ? new Map<string, HostTensor>() : hostMember(tensors, member, count);
    finished.clients.forEach((client, member) => {
      const values = memberOf(own, member);
      const [bytesUp, down] = [finished.bytesUp[member]!, finished.bytesDown[member]!];
      bytesDown += down;
      departed.push({
        client,
        loss: finished.losses[member]!,
        bytesUp,
        sent: asynchrony.kind === "fedbuff" && x !== undefined ? changes(values, x) : values,
        keep: memberOf(kept, member),
        version: round - 1,
        arrival: inFlight.seconds + asynchrony.clock({ client: client.id, bytesDown: down, bytesUp }),
      });
    });
  };
  const work = { round, plan, clients, model: global, state, store, onProgress };
  const lost = await collect(work, { participants, expected, timer, use });
  timer.lap("training");
  return { departed, lost, bytesDown };
}

/** Whom an update asks, so that M are in flight; as a synchronous round draws them where nobody is. */
function draw(
  waiting: readonly Flight[],
  { fleet, lastRounds, round, seed, asynchrony }: UpdateOptions,
): Client[] {
  const busy = new Set(waiting.map(({ client }) => client.id));
  const free = [...fleet.numExamples.keys()].filter((id) => !busy.has(id));
  const count = Math.max(0, Math.min(asynchrony.inFlight - busy.size, free.length));
  const ids = new RandomStream(randomKey(seed, "participants", round))
    .sampleWithoutReplacement(free.length, count).map((place) => free[place]!).sort((a, b) => a - b);
  return cohort({ ...fleet, sample: () => ids }, round, lastRounds);
}

/** Changes are of values of parameters, and since where all start. */
function checkSent(
  names: readonly string[],
  { plan, method }: { readonly plan: RoundPlan; readonly method: Pick<Method, "name"> },
): void {
  const shared = new Set(sharedNames(plan));
  const other = names.find((name) => !shared.has(name));
  if (other === undefined && plan.start === undefined) return;
  throw new TypeError(
    `Cannot run ${method.name} with asynchrony: ` +
      (other === undefined
        ? "its clients start elsewhere than at the global values"
        : `its clients send ${other}, which is no value of a parameter`) +
      "; take fedit",
  );
}

/** y − x by name. */
function changes(values: HostTensors, x: HostTensors): Map<string, HostTensor> {
  return new Map([...values].map(([name, { shape, data }]) => {
    const start = x.get(name)!.data;
    return [name, { shape, data: data.map((value, i) => value - start[i]!) }];
  }));
}
