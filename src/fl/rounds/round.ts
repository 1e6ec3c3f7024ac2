import { disposeAll, type Gpu, tensor } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import {
  type Aggregate,
  type AggregatorFactory,
  isRefusal,
  type Traffic,
  type Uploads,
} from "../aggregation/aggregator.ts";
import { type ClientStore, saveMore } from "../client/client_store.ts";
import { collect, refuseDiverged } from "./collect.ts";
import { uploadShapes } from "../client/upload_shapes.ts";
import type { Figures, Measure } from "../measures/measure.ts";
import { type Client, type Method, sharedParameters } from "../method.ts";
import type { Finished, Lost, Participants } from "../participants.ts";
import type { PhaseTimer } from "../phase_timer.ts";
import type { Stage } from "../privacy/stage.ts";
import { hostMember, type HostTensors, toHost, withParameters } from "../tensors.ts";
import { disposeTree, type Tree } from "../tree.ts";

/** What a round starts from. */
export interface RoundStart {
  /** What the method made of the pretrained model. */
  readonly model: TaskModel;
  readonly state: Tree;
  /** What clients kept from earlier rounds. */
  readonly store: ClientStore;
}

/** Options of {@linkcode playRound}. */
export interface RoundOptions {
  readonly method: Method;
  readonly participants: Participants;
  readonly aggregator: AggregatorFactory;
  readonly stages: readonly Stage[];
  readonly measures: readonly Measure[];
  readonly seed: number;
  readonly round: number;
  /** The cohort, in the order of client numbers. */
  readonly clients: readonly Client[];
  readonly timer: PhaseTimer;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a round ends with. */
export interface RoundEnd {
  /** The next state; tensors that it shares with the last one are in both. */
  readonly state: Tree;
  readonly store: ClientStore;
  /** Numbers of the clients that took part, ascending. */
  readonly participants: readonly number[];
  /** Those that were asked and lost, ascending. */
  readonly lost: readonly Lost[];
  /** Why the global model stayed as it was though clients came through. */
  readonly refused?: string;
  /** Mean of the clients' mean local losses by their shares; null when nobody came through. */
  readonly trainLoss: number | null;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly measures: Figures;
}

/**
 * One round: the cohort trains, what it sends is aggregated in the order of client numbers, and the method makes the next state of
 * it. Neither the state nor the store is changed, so a round that fails leaves nothing behind.
 */
export async function playRound(
  { model, state, store }: RoundStart,
  options: RoundOptions,
): Promise<RoundEnd> {
  const { method, participants, aggregator, stages, measures, round, seed, clients, timer, onProgress } =
    options;
  const plan = method.plan(state, round);
  const global = withParameters(model, method.parameters(state));
  const start = sharedParameters(global, plan);
  const total = clients.reduce((sum, { numExamples }) => sum + numExamples, 0);
  const shares = new Map(
    clients.map(({ id, numExamples }) => [
      id,
      plan.weighBy === "client" ? 1 / clients.length : numExamples / total,
    ]),
  );
  const aggregation = aggregator.open({ round, seed, cohort: clients.length, clients, shares, start });
  const received = new Tally(store);
  const use = async (finished: Finished) => {
    const own = finished.clients.map(({ id }) => shares.get(id)!);
    await received.add(finished, { gpu: model.gpu, shares: own }, async (uploads) => {
      for (const measure of measures) measure.add(uploads);
      timer.lap("measuring");
      await aggregation.add(uploads);
    });
    timer.lap("aggregation");
  };
  let aggregate: Aggregate | undefined;
  let next = state;
  let isDone = false;
  try {
    for (const measure of measures) measure.begin(global, plan);
    timer.lap("measuring");
    const [client] = clients;
    // What a stage hides has other names and shapes.
    const expected = client === undefined || stages.some(({ hidesClients }) => hidesClients)
      ? undefined
      : await uploadShapes(global, plan, { client });
    const work = { round, plan, clients, model: global, state, store, onProgress };
    const lost = await collect(work, { participants, expected, timer, use });
    const isEmpty = received.clients.length === 0;
    if (isEmpty) refuseDiverged(lost, `round ${round}, in which`);
    const result = !isEmpty || method.movesAlone ? await aggregation.finish() : undefined;
    const told: Figures[] = [];
    if (result !== undefined && !isRefusal(result)) {
      aggregate = result;
      if (result.figures !== undefined) told.push(result.figures);
      for (const stage of isEmpty ? [] : [...stages].reverse()) {
        aggregate = await stage.server?.(aggregate, { round, seed, start }) ?? aggregate;
      }
      next = await method.apply(state, aggregate, round);
      disposeAggregate(aggregate, next);
      aggregate = undefined;
    }
    timer.lap("aggregation");
    const after = withParameters(model, method.parameters(next));
    const measured = await Promise.all(measures.map((measure) => measure.end(after)));
    timer.lap("measuring");
    isDone = true;
    return {
      state: next,
      // What clients keep belongs to an aggregate that they went into.
      store: result !== undefined && isRefusal(result) ? store : received.store,
      participants: received.clients,
      lost,
      ...(result !== undefined && isRefusal(result) && { refused: result.refused }),
      ...received.totals(clients.length, result?.traffic),
      measures: figuresOf(options, [...measured, ...told]),
    };
  } finally {
    for (const measure of measures) measure.dispose();
    if (!isDone) disposeTree(next, state);
    if (aggregate !== undefined) disposeAggregate(aggregate, null);
    aggregation.dispose();
  }
}

/** The figures of all measures; an error against the mean change has no meaning where the server moves otherwise. */
function figuresOf(
  { method, aggregator }: Pick<RoundOptions, "method" | "aggregator">,
  measured: readonly Figures[],
): Figures {
  const figures: Figures = Object.assign({}, ...measured);
  const movesOtherwise = method.movesOtherwise || aggregator.brings === "robustAggregation";
  return movesOtherwise && "appliedError" in figures ? { ...figures, appliedError: null } : figures;
}

/** Frees what a method didn't take over of an aggregate. */
function disposeAggregate({ values, each = [] }: Aggregate, next: Tree): void {
  disposeTree(
    [values, ...each.map((uploads) => uploads.values), ...each.map(({ weights }) => weights)],
    next,
  );
}

/** Adds up what comes in. */
class Tally {
  readonly clients: number[] = [];
  /** What clients have from now on: what they keep of this round, and what it left alone. */
  store: ClientStore;
  #loss = 0;
  #share = 0;
  #bytesUp = 0;
  #bytesDown = 0;

  constructor(store: ClientStore) {
    this.store = store;
  }

  /** Notes what clients sent, and gives it to `use`. */
  async add(
    { clients, values, keep, losses, bytesUp, bytesDown }: Finished,
    { gpu, shares }: { readonly gpu: Gpu; readonly shares: readonly number[] },
    use: (uploads: Uploads) => Promise<void>,
  ): Promise<void> {
    const weights = tensor(gpu, shares);
    try {
      await use({ clients, values, shares, weights });
    } finally {
      disposeAll([weights]);
    }
    clients.forEach(({ id }, member) => {
      this.clients.push(id);
      // Client by client, so that the sum doesn't depend on the blocks.
      this.#loss += shares[member]! * losses[member]!;
      this.#share += shares[member]!;
      this.#bytesUp += bytesUp[member]!;
      this.#bytesDown += bytesDown[member]!;
    });
    if (keep.size > 0 && !gpu.isRehearsing) await this.#save(clients, await toHost(keep));
  }

  /** Saves what each keeps at once, so that no more than a block's is held. */
  async #save(clients: readonly Client[], kept: HostTensors): Promise<void> {
    this.store = await saveMore(
      this.store,
      clients.map(({ id }, member) => [id, hostMember(kept, member, clients.length)]),
    );
  }

  totals(
    cohort: number,
    { bytesUp, bytesDown }: Traffic = { bytesUp: 0, bytesDown: 0 },
  ): Pick<RoundEnd, "trainLoss" | "bytesUp" | "bytesDown"> {
    const count = this.clients.length;
    const trainLoss = count === 0 ? null : count < cohort ? this.#loss / this.#share : this.#loss;
    return { trainLoss, bytesUp: this.#bytesUp + bytesUp, bytesDown: this.#bytesDown + bytesDown };
  }
}
