import { disposeAll, type Gpu, NonFiniteError, randomKey, RandomStream, tensor } from "../engine/mod.ts";
import { InOrder } from "./aggregation/in_order.ts";
import { uploadShapes } from "./client/upload_shapes.ts";
import { cohort } from "./_cohort.ts";
import type { Fleet } from "./fleet.ts";
import type { Client, Method, RoundPlan } from "./method.ts";
import { type Finished, isLost, type Lost } from "./participants.ts";
import { receiveOutcome } from "./receive_outcome.ts";
import type { RoundEnd, RoundOptions, RoundStart } from "./round.ts";
import {
  hostMember,
  type HostTensor,
  type HostTensors,
  pick,
  shapesOf,
  toHost,
  withParameters,
  zeroTensors,
} from "./tensors.ts";
import { disposeTree } from "./tree.ts";
import type { Flight, InFlight, Staleness } from "./asynchrony/in_flight.ts";
import { mix } from "./asynchrony/mix.ts";
import type { Asynchrony } from "./asynchrony/options.ts";

/** What an update starts from. */
export interface UpdateStart extends RoundStart {
  readonly inFlight: InFlight;
}

/** Options of {@linkcode playUpdate}. */
export interface UpdateOptions extends Omit<RoundOptions, "clients" | "aggregator" | "stages"> {
  readonly asynchrony: Asynchrony;
  readonly fleet: Fleet;
  /** The last update before which each client was asked. */
  readonly lastRounds: readonly number[];
}

/** What an update ends with; its participants are those that arrived. */
export interface UpdateEnd extends RoundEnd {
  readonly inFlight: InFlight;
  /** Numbers of the clients that were asked and have trained. */
  readonly asked: readonly number[];
  /** Since the start. */
  readonly simulatedSeconds: number;
  /** Of the arrivals; null when nobody came. */
  readonly staleness: Staleness | null;
}

/**
 * One update of an asynchronous server, as `playRound` is of a synchronous one. It fills up who trains to M with clients drawn by the seed
 * among the others; they start now from the model as it is, and are trained at once, as when doesn't change a bit. Then it takes the K earliest
 * arrivals (of equal ones the lower numbers), in the order of client numbers, mixes them (see `mix`) and has the method apply the result.
 *
 * A client that is lost has no place in flight, and another is asked before the next update; while fewer than K are in flight, an update takes
 * what there is, and its mean is of these. A rehearsal has nobody in flight, so that it asks the most there can be.
 *
 * @throws {TypeError} when clients of the method send something else than values of what is shared.
 * @throws {NonFiniteError} when nobody is in flight, and some for training that came out not finite.
 */
export async function playUpdate(
  { model, state, store, inFlight }: UpdateStart,
  options: UpdateOptions,
): Promise<UpdateEnd> {
  const { method, measures, round, timer, asynchrony } = options;
  const { gpu } = model;
  const plan = method.plan(state, round);
  const { trained, shared = trained } = plan;
  const global = withParameters(model, method.parameters(state));
  const start = pick(new Map(global.namedParameters()), shared);
  const waiting = gpu.isRehearsing ? [] : inFlight.flights;
  const clients = draw(waiting, options);
  let next = state;
  let isDone = false;
  try {
    for (const measure of measures) measure.begin(global, plan);
    timer.lap("measuring");
    const x = gpu.isRehearsing ? undefined : await toHost(start);
    const { finished, lost } = await train({ clients, plan, global, store, x }, options);
    const bytesDown = finished.reduce((sum, each) => sum + each.bytesDown, 0);
    const departed = finished.map(({ bytesDown, ...rest }): Flight => ({
      ...rest,
      version: round - 1,
      arrival: inFlight.seconds +
        asynchrony.clock({ client: rest.client.id, bytesDown, bytesUp: rest.bytesUp }),
    }));
    timer.lap("training");
    const { arrived, left } = take([...waiting, ...departed], asynchrony.bufferSize);
    if (arrived.length === 0) refuseDiverged(lost, round);
    if (arrived.length > 0 || method.movesAlone) {
      const arrivals = { version: round - 1, flights: arrived };
      const values = arrived.length === 0
        ? new Map()
        : x === undefined
        ? zeroTensors(gpu, shapesOf(start))
        : onDevice(gpu, mix(x, arrivals, asynchrony));
      try {
        next = await method.apply(state, { clients: arrived.map(({ client }) => client), values }, round);
      } finally {
        disposeTree(values, next === state ? null : next);
      }
    }
    timer.lap("aggregation");
    const after = withParameters(model, method.parameters(next));
    const measured = await Promise.all(measures.map((measure) => measure.end(after)));
    const kept = arrived.filter(({ keep }) => keep.size > 0);
    const saved = await store.save(
      new Map(
        await Promise.all(
          kept.map(async ({ client: { id }, keep }) =>
            [id, new Map([...await store.load(id) ?? [], ...keep])] as const
          ),
        ),
      ),
    );
    timer.lap("measuring");
    isDone = true;
    const seconds = arrived.reduce((latest, { arrival }) => Math.max(latest, arrival), inFlight.seconds);
    const delays = arrived.map(({ version }) => round - 1 - version);
    const mean = (numbers: readonly number[]) =>
      numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
    return {
      state: next,
      store: saved,
      inFlight: { seconds, flights: left },
      asked: departed.map(({ client }) => client.id),
      participants: arrived.map(({ client }) => client.id),
      lost,
      trainLoss: arrived.length === 0 ? null : mean(arrived.map(({ loss }) => loss)),
      bytesUp: arrived.reduce((sum, each) => sum + each.bytesUp, 0),
      bytesDown,
      measures: Object.assign({}, ...measured),
      simulatedSeconds: seconds,
      staleness: arrived.length === 0 ? null : { mean: mean(delays), most: Math.max(...delays) },
    };
  } finally {
    for (const measure of measures) measure.dispose();
    if (!isDone) disposeTree(next, state);
  }
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

/** The earliest arrivals, and who is still on the way; both in the order of client numbers. */
function take(
  flights: readonly Flight[],
  count: number,
): { readonly arrived: Flight[]; readonly left: Flight[] } {
  const byNumber = (a: Flight, b: Flight) => a.client.id - b.client.id;
  const sorted = [...flights].sort((a, b) => a.arrival - b.arrival || byNumber(a, b));
  return { arrived: sorted.slice(0, count).sort(byNumber), left: sorted.slice(count).sort(byNumber) };
}

/** A client that has trained. */
type Trained = Omit<Flight, "version" | "arrival"> & { readonly bytesDown: number };

interface TrainContext {
  readonly clients: readonly Client[];
  readonly plan: RoundPlan;
  readonly global: RoundStart["model"];
  readonly store: RoundStart["store"];
  /** The global values on the host; none in a rehearsal. */
  readonly x: HostTensors | undefined;
}

/** Has clients train, and brings what they send to the host. */
async function train(
  { clients, plan, global, store, x }: TrainContext,
  { method, participants, round, onProgress, asynchrony }: UpdateOptions,
): Promise<{ readonly finished: readonly Trained[]; readonly lost: readonly Lost[] }> {
  const finished: Trained[] = [];
  const lost: Lost[] = [];
  const [client] = clients;
  if (client === undefined) return { finished, lost };
  const expected = await uploadShapes(global, plan, { client });
  checkSent([...expected.keys()], { plan, method });
  const order = new InOrder(clients.map(({ id }) => id));
  const bring = async (pieces: Iterable<Finished>) => {
    for (const piece of pieces) {
      const own = x === undefined ? undefined : await toHost(piece.values);
      const keep = x === undefined ? undefined : await toHost(piece.keep);
      const count = piece.clients.length;
      finished.push(...piece.clients.map((client, member): Trained => {
        const values = own === undefined ? new Map() : hostMember(own, member, count);
        return {
          client,
          loss: piece.losses[member]!,
          bytesUp: piece.bytesUp[member]!,
          bytesDown: piece.bytesDown[member]!,
          sent: asynchrony.kind === "fedbuff" && x !== undefined ? changes(values, x) : values,
          keep: keep === undefined ? new Map() : hostMember(keep, member, count),
        };
      }));
    }
  };
  try {
    for await (
      const outcome of participants.train({ round, plan, clients, model: global, store, onProgress })
    ) {
      const arrived = isLost(outcome)
        ? { finished: [], lost: [outcome] }
        : await receiveOutcome(outcome, expected);
      order.addAll(arrived.finished);
      for (const each of arrived.lost) order.lose(each.client.id);
      lost.push(...arrived.lost);
      await bring(order.ready());
    }
    const silent = new Set(order.loseMissing());
    for (const each of clients) {
      if (silent.has(each.id)) lost.push({ client: each, phase: "training", reason: "it sent nothing" });
    }
    await bring(order.ready());
  } finally {
    order.dispose();
  }
  return { finished, lost: lost.sort((a, b) => a.client.id - b.client.id) };
}

/** Changes are of values of parameters, and since where all start. */
function checkSent(
  names: readonly string[],
  { plan, method }: { readonly plan: RoundPlan; readonly method: Pick<Method, "name"> },
): void {
  const { trained, shared = trained, start } = plan;
  const other = names.find((name) => !shared.includes(name));
  if (other === undefined && start === undefined) return;
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

function onDevice(gpu: Gpu, values: HostTensors) {
  const made: [string, ReturnType<typeof tensor>][] = [];
  try {
    for (const [name, { data, shape }] of values) made.push([name, tensor(gpu, data, { shape })]);
    return new Map(made);
  } catch (error) {
    disposeAll(made.map(([, each]) => each));
    throw error;
  }
}

function refuseDiverged(lost: readonly Lost[], round: number): void {
  const diverged = lost.find(({ diverged }) => diverged);
  if (diverged === undefined) return;
  throw new NonFiniteError(
    `Cannot continue after update ${round}, before which no client came through: client ${diverged.client.id} was lost in its ` +
      `training, as ${diverged.reason}`,
  );
}
