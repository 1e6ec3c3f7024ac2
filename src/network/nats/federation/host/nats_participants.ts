import { CorruptFileError } from "../../../../data/errors.ts";
import {
  type Client,
  type Codec,
  type EvaluationContext,
  f32Codec,
  type FederationEvaluation,
  type Finished,
  type HostTensors,
  type Lost,
  type Outcome,
  type Participants,
  receiveUpload,
  type RoundWork,
  type Shapes,
  spreadOf,
  uploadShapes,
} from "../../../../fl/mod.ts";
import { readDownload } from "../../../../fl/client/download.ts";
import { shapesOfRank } from "../../../../fl/client/ranks.ts";
import { meanEvaluation } from "../../../../fl/simulation/evaluation.ts";
import { Held } from "../../../../fl/held.ts";
import { pick } from "../../../../fl/tensors.ts";
import type { Evaluation, TaskModel } from "../../../../tasks/mod.ts";
import { FederationError } from "../errors.ts";
import type { Failure } from "./failure.ts";
import { type Outgoing, packParcel } from "../parcels.ts";
import type { Reception } from "./reception.ts";
import { isPresent, type Roster } from "./roster.ts";
import { type CallResult, type RoundCall, RoundCalls, type Upload } from "./round_calls.ts";

/** Options of {@linkcode NatsParticipants}. */
export interface NatsParticipantsOptions {
  readonly reception: Reception;
  readonly roster: Roster;
  readonly codec: Codec;
  /** Ends waiting. */
  readonly failure: Failure;
  /** Learning rate of a round, by its index from 0. */
  readonly learningRate: (round: number) => number;
  readonly roundSeconds: number;
  readonly silenceSeconds: number;
  /** How many of a cohort must be there before it is asked, and how many seconds they are waited for. */
  readonly minimum: number;
  readonly gatherSeconds: number;
  /** What the NATS server takes at once. */
  readonly maxMessageBytes: number;
}

/** What participants are asked to do. */
type Asked =
  & { readonly maxUpload?: number }
  & (
    | { readonly type: "train"; readonly learningRate: number }
    | { readonly type: "score" }
  );

/** Bytes that an upload may have beside its values: its header, and what a codec writes with each tensor. */
const slackBytes = 64 << 10;

/**
 * Participants that are elsewhere and have joined a federation. Those who don't answer in time, leave, or send something else than they
 * were asked for are lost by name, and the round goes on.
 */
export class NatsParticipants implements Participants {
  readonly #options: NatsParticipantsOptions;

  constructor(options: NatsParticipantsOptions) {
    this.#options = options;
  }

  /**
   * Has all who are there score a model on test data of their own.
   *
   * @returns the spread of their scores; undefined where none of them has any.
   */
  async evaluate(
    model: TaskModel,
    { plan, lastRounds, round, onProgress }: EvaluationContext,
  ): Promise<Required<FederationEvaluation> | undefined> {
    if (model.gpu.isRehearsing) return undefined;
    const { roster, silenceSeconds } = this.#options;
    const clients = roster.members.flatMap((each, id) =>
      isPresent(each, silenceSeconds)
        ? [{ id, numExamples: each.numExamples, lastRound: lastRounds[id]! }]
        : []
    );
    const calls = await this.#prepare({ round: round + 1, plan, clients, model }, { type: "score" });
    const evaluations = new Map<number, Evaluation>();
    let done = 0;
    for await (const result of this.#ask(new RoundCalls(round + 1, calls))) {
      if ("evaluation" in result && result.evaluation !== null) {
        evaluations.set(result.call.client.id, result.evaluation);
      }
      onProgress(++done, clients.length);
    }
    // In the order of client numbers, so that the mean doesn't depend on who was first.
    const sorted = [...evaluations].sort(([a], [b]) => a - b).map(([, evaluation]) => evaluation);
    return sorted.length === 0
      ? undefined
      : { test: meanEvaluation(sorted), clients: spreadOf(sorted, model.task) };
  }

  /** Calls the cohort, and gives what it sends as it arrives. */
  async *train(work: RoundWork): AsyncGenerator<Outcome> {
    const { round, plan, clients, model, onProgress } = work;
    const { failure, codec, learningRate } = this.#options;
    const [first] = clients;
    if (first === undefined) return;
    const largest = await uploadShapes(model, plan, { client: first });
    const expected = (client: Client) =>
      plan.ranks === undefined ? largest : shapesOfRank(largest, plan.ranks.of(client.id));
    await failure.during(this.#gather(work));
    const calls = await this.#prepare(work, {
      type: "train",
      learningRate: learningRate(round - 1),
      maxUpload: codec.payloadBytes(largest) + slackBytes,
    });
    let done = 0;
    for await (const result of this.#ask(new RoundCalls(round, calls))) {
      if ("payload" in result) yield await this.#receive(result, work, expected(result.call.client));
      else if ("reason" in result) yield this.#named(result);
      onProgress?.(++done, clients.length);
    }
  }

  /** Asks, and gives what becomes of each call as it does. */
  async *#ask(calls: RoundCalls): AsyncGenerator<CallResult> {
    const { reception, failure, roundSeconds } = this.#options;
    reception.call(calls);
    const watch = setInterval(() => this.#loseSilent(calls), 250);
    const deadline = setTimeout(() => this.#loseLate(calls), roundSeconds * 1000);
    try {
      const results = calls.results();
      for (;;) {
        const next = await failure.during(results.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      clearInterval(watch);
      clearTimeout(deadline);
      reception.endRound();
    }
  }

  /** Waits until enough of the cohort are there: a round without them would be played for nothing. */
  async #gather({ round, clients }: RoundWork): Promise<void> {
    const { reception, roster, minimum, silenceSeconds, gatherSeconds } = this.#options;
    const needed = Math.min(minimum, clients.length);
    const count = () => clients.filter(({ id }) => isPresent(roster.members[id]!, silenceSeconds)).length;
    if (await reception.until(() => count() >= needed, gatherSeconds)) return;
    throw new FederationError(
      `Cannot play round ${round}: waited ${gatherSeconds} s, and ${count()} of at least ${needed} participants are there; ` +
        "start those that are missing, and resume",
    );
  }

  /** What each client is told, and what it downloads. */
  async #prepare(
    { round, plan, clients, model }: Pick<RoundWork, "round" | "plan" | "clients" | "model">,
    { maxUpload = 0, ...asked }: Asked,
  ): Promise<RoundCall[]> {
    const { roster, roundSeconds, maxMessageBytes } = this.#options;
    const isAlike = plan.download === undefined && plan.start === undefined && plan.ranks === undefined;
    const pack = async (client: Client) => {
      const values: HostTensors = await readDownload(model, plan, client);
      const download = await packParcel(f32Codec.encode(values), maxMessageBytes);
      // Nothing is sent where there is nothing to say.
      return { download, bytesDown: values.size > 0 ? download.bytes.length : 0 };
    };
    let common: { readonly download: Outgoing; readonly bytesDown: number } | undefined;
    const calls: RoundCall[] = [];
    for (const client of clients) {
      const { download, bytesDown } = isAlike ? common ??= await pack(client) : await pack(client);
      const words = {
        ...asked,
        round,
        client: client.id,
        numClients: roster.members.length,
        lastRound: client.lastRound,
        download: download.parcel,
        deadline: roundSeconds,
      };
      calls.push({ name: roster.members[client.id]!.name, client, download, bytesDown, maxUpload, words });
    }
    return calls;
  }

  async #receive(
    { call: { client, bytesDown, name }, payload, loss }: Upload,
    { plan, model }: RoundWork,
    expected: Shapes,
  ): Promise<Finished | Lost> {
    using held = new Held();
    const { trained, shared = trained } = plan;
    const start = plan.start ? held.hold(plan.start(client)) : pick(new Map(model.namedParameters()), shared);
    try {
      const values = receiveUpload(payload, {
        gpu: model.gpu,
        codec: this.#options.codec,
        start,
        expected,
      });
      return {
        clients: [client],
        values,
        // What clients keep stays with them.
        keep: new Map(),
        losses: [loss],
        bytesUp: [values.size > 0 ? payload.length : 0],
        bytesDown: [bytesDown],
      };
    } catch (error) {
      if (!(error instanceof CorruptFileError)) throw error;
      return this.#named({ client, phase: "upload", reason: error.message }, name);
    }
  }

  /** A lost participant's name is what people know it by. */
  #named(lost: Lost, name = this.#options.roster.members[lost.client.id]!.name): Lost {
    return { ...lost, reason: `${name}: ${lost.reason}` };
  }

  /** Goes on without those who left or haven't been heard of. */
  #loseSilent(calls: RoundCalls): void {
    const { roster, silenceSeconds } = this.#options;
    for (const name of calls.waitingFor) {
      const member = roster.get(name)!;
      if (isPresent(member, silenceSeconds)) continue;
      const seconds = ((performance.now() - member.heard) / 1000).toFixed(0);
      calls.lose(name, { reason: member.left ?? `it hasn't been heard of for ${seconds} s` });
    }
  }

  #loseLate(calls: RoundCalls): void {
    const { roundSeconds } = this.#options;
    for (const name of calls.waitingFor) {
      calls.lose(name, { reason: `it didn't send anything within the ${roundSeconds} s of the round` });
    }
  }
}
