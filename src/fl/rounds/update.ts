import { depart, type UpdateOptions } from "./departures.ts";
import { type Flight, type InFlight, type Staleness } from "../asynchrony/in_flight.ts";
import { mix } from "../asynchrony/mix.ts";
import { saveMore } from "../client/client_store.ts";
import { refuseDiverged } from "./collect.ts";
import { sharedParameters } from "../method.ts";
import type { RoundEnd, RoundStart } from "./round.ts";
import { shapesOf, toDevice, toHost, withParameters, zeroTensors } from "../tensors.ts";
import { disposeTree } from "../tree.ts";

export type { UpdateOptions } from "./departures.ts";

/** What an update starts from. */
export interface UpdateStart extends RoundStart {
  readonly inFlight: InFlight;
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
  { model, state, store, inFlight: before }: UpdateStart,
  options: UpdateOptions,
): Promise<UpdateEnd> {
  const { method, measures, round, timer, asynchrony } = options;
  const { gpu } = model;
  const plan = method.plan(state, round);
  const global = withParameters(model, method.parameters(state));
  const start = sharedParameters(global, plan);
  const inFlight = gpu.isRehearsing ? { ...before, flights: [] } : before;
  let next = state;
  let isDone = false;
  try {
    for (const measure of measures) measure.begin(global, plan);
    timer.lap("measuring");
    const x = gpu.isRehearsing ? undefined : await toHost(start);
    const { departed, lost, bytesDown } = await depart({ plan, global, state, store, inFlight, x }, options);
    const { arrived, left } = take([...inFlight.flights, ...departed], asynchrony.bufferSize);
    if (arrived.length === 0) refuseDiverged(lost, `update ${round}, before which`);
    if (arrived.length > 0 || method.movesAlone) {
      const arrivals = { version: round - 1, flights: arrived };
      const values = arrived.length === 0
        ? new Map()
        : x === undefined
        ? zeroTensors(gpu, shapesOf(start))
        : toDevice(gpu, mix(x, arrivals, asynchrony));
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
    const saved = await saveMore(store, kept.map(({ client: { id }, keep }) => [id, keep]));
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

/** The earliest arrivals, and who is still on the way; both in the order of client numbers. */
function take(
  flights: readonly Flight[],
  count: number,
): { readonly arrived: Flight[]; readonly left: Flight[] } {
  const byNumber = (a: Flight, b: Flight) => a.client.id - b.client.id;
  const sorted = [...flights].sort((a, b) => a.arrival - b.arrival || byNumber(a, b));
  return { arrived: sorted.slice(0, count).sort(byNumber), left: sorted.slice(count).sort(byNumber) };
}
