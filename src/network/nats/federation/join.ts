import type { NatsConnection } from "@nats-io/nats-core";
import { NonFiniteError } from "../../../engine/mod.ts";
import { CorruptFileError } from "../../../data/errors.ts";
import { createMethod } from "../../../experiment/config/method_config.ts";
import { describeAdapter } from "../../../experiment/gpu/describe_adapter.ts";
import { fingerprintOf } from "../../../federa/mod.ts";
import { checkPositions, createCodec, type Lost, Participant } from "../../../fl/mod.ts";
import type { Evaluation, TaskModel, TaskSet } from "../../../tasks/mod.ts";
import { FederationError, RefusedError } from "./errors.ts";
import { HostLink } from "./host_link.ts";
import { openIdentity } from "./identity.ts";
import { type Invitation, SOFTWARE } from "./invitation.ts";
import { type End, type Parcel, PROTOCOL, type Refusal, type ScoreCall, type TrainCall } from "./messages.ts";
import { chunkOf, Incoming, numChunks, packParcel } from "./parcels.ts";
import { memoryStore, type ParticipantStore } from "./participant_store.ts";
import { beatMilliseconds, holdMilliseconds } from "./pace.ts";
import { samplingOf } from "./sampling.ts";

/** Options of {@linkcode readInvitation}. */
export interface InvitationOptions {
  readonly connection: NatsConnection;
  readonly federation: string;
  /** The participant's name: letters, digits, - and _. */
  readonly name: string;
  /** Seconds to wait for a host that doesn't answer; 600 by default. */
  readonly patienceSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when the host can't be reached, and when it can again. */
  readonly onReach?: ((isReached: boolean) => void) | undefined;
}

/** Options of {@linkcode joinFederation}. */
export interface JoinOptions extends Omit<InvitationOptions, "federation"> {
  /** What {@linkcode readInvitation} gave, and a person or a program has agreed to. */
  readonly invitation: Invitation;
  /** The participant's own data, which doesn't leave it. */
  readonly train: TaskSet;
  /** Data of its own to score each round's model on; the scores stay with it, unless the invitation says otherwise. */
  readonly test?: TaskSet | undefined;
  /** Where it keeps what it needs to go on after its end; in memory by default. */
  readonly store?: ParticipantStore | undefined;
  readonly limits?: ParticipantLimits | undefined;
}

/** What a participant accepts of a host at most. */
export interface ParticipantLimits {
  /** Bytes of a download; by default four times those of the whole model in f32, and at least 64 MiB. */
  readonly downloadBytes?: number | undefined;
  /** Local steps of a round; 100,000 by default. */
  readonly steps?: number | undefined;
}

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

/**
 * What a federation is about, before anybody joins it.
 *
 * @throws {RefusedError} when the host speaks another version of the protocol.
 * @throws {FederationError} when no host answers.
 *
 * @example
 * ```ts no-run
 * const invitation = await readInvitation({ connection, federation: "mail", name: "ada" });
 * console.log(invitation.host, invitation.task.kind, invitation.labels);
 * ```
 */
export async function readInvitation(options: InvitationOptions): Promise<Invitation> {
  const { words } = await new HostLink(options.connection, options).ask("invitation", { protocol: PROTOCOL });
  if (words.type === "refused") throw new RefusedError(`Cannot read the invitation: ${words.reason}`);
  const { invitation } = words;
  if (invitation.federation === options.federation) return invitation;
  throw new FederationError(
    `Cannot use an invitation to federation ${invitation.federation}: expected one to ${options.federation}`,
  );
}

/**
 * Takes part in a federation: joins, and trains in each round that asks for it, on data that stays here. A host or a server that is away is
 * waited for. Ending the generator, or aborting the signal, leaves the federation.
 *
 * @param pretrained the encoder that the invitation names under a new head: `TaskModel.create(gpu, encoder, { task: invitedTask(invitation),
 * seed: invitation.seed })`.
 * @throws {RefusedError} when the host doesn't take the participant.
 * @throws {FederationError} when the host can't be reached, or asks for more than the limits.
 * @throws {TypeError} or {RangeError} when model, data and method don't fit each other.
 * @throws the reason of the signal, once it's aborted.
 *
 * @example
 * ```ts no-run
 * for await (const event of joinFederation(pretrained, { connection, invitation, name: "ada", train })) {
 *   if (event.type === "sent") console.log(`round ${event.round}: ${event.bytesUp} bytes sent, loss ${event.loss}`);
 * }
 * ```
 */
export async function* joinFederation(
  pretrained: TaskModel,
  options: JoinOptions,
): AsyncGenerator<ParticipantEvent, void> {
  const { connection, invitation, name, train, store = memoryStore() } = options;
  const { federation } = invitation;
  checkInvitation(pretrained, options);
  const { identity: { token }, isNew } = await openIdentity(store, invitation, name);
  /** Aborted when the caller has had enough: by its signal, or by ending the generator. */
  const left = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal;
  const events = new Events(() => left.abort(new Error("The participant has left")));
  const link = new HostLink(connection, {
    ...options,
    federation,
    holdMilliseconds: holdMilliseconds(invitation),
    signal,
    onReach(isReached) {
      options.onReach?.(isReached);
      if (!isReached) events.push({ type: "waiting", reason: "the host, which doesn't answer" });
    },
  });
  const session = new Session(pretrained, { ...options, store, token, link, events, isNew, signal });
  const base = await fingerprintOf(pretrained.encoder);
  const join = async () => {
    const { words } = await link.ask("join", {
      token,
      numExamples: train.numExamples,
      base,
      adapter: describeAdapter(pretrained.gpu).slice(0, 300),
      software: SOFTWARE,
    });
    if (words.type === "admitted") return;
    throw new RefusedError(`Cannot join federation ${federation} as ${name}: ${words.reason}`);
  };
  let farewell: Promise<unknown> | undefined;
  // At once, whatever is going on: the host then waits no longer.
  const leave = () => farewell ??= link.tell("leave", { token }, 1000);
  signal.addEventListener("abort", leave);
  try {
    yield* events.during(join());
    yield { type: "joined", isBack: !isNew };
    let waitingFor = "";
    for (;;) {
      const { words } = yield* events.during(link.ask("next", { token }));
      switch (words.type) {
        case "wait":
          if (words.reason !== waitingFor) yield { type: "waiting", reason: words.reason };
          waitingFor = words.reason;
          break;
        case "train":
          waitingFor = "";
          yield* events.during(session.train(words));
          break;
        case "score":
          yield* events.during(session.score(words));
          break;
        case "end":
          yield* session.end(words, leave);
          return;
        case "refused":
          if (words.code !== "unknown") throw refused(invitation, name, words);
          // A host that has lost its roster takes those again that it doesn't know.
          yield* events.during(join());
      }
    }
  } finally {
    await leave();
    session[Symbol.dispose]();
  }
}

interface SessionOptions extends JoinOptions {
  readonly store: ParticipantStore;
  readonly token: string;
  readonly link: HostLink;
  readonly events: Events;
  readonly isNew: boolean;
  readonly signal: AbortSignal;
}

/** A participant's part in the rounds of one run. */
class Session {
  readonly #pretrained: TaskModel;
  readonly #options: SessionOptions;
  #participant: Participant | undefined;
  #traffic = { bytesUp: 0, bytesDown: 0 };

  constructor(pretrained: TaskModel, options: SessionOptions) {
    this.#pretrained = pretrained;
    this.#options = options;
  }

  /** Trains in a round; a failure is told to the host, which goes on without this participant. */
  async train(call: TrainCall): Promise<void> {
    const { link, token, events, signal } = this.#options;
    const { round } = call;
    let phase: Lost["phase"] = "download";
    const over = new AbortController();
    const beat = beatMilliseconds(this.#options.invitation);
    const alive = setInterval(() => void this.#beat(call, { done: 0, total: 0 }, over), beat);
    try {
      const payload = await this.#download(call.download);
      if (payload === undefined) return;
      events.push({
        type: "round",
        round,
        learningRate: call.learningRate,
        bytesDown: payload.length,
      });
      const participant = await this.#open(call);
      phase = "training";
      await this.#score(participant, call, payload);
      let told = 0;
      const reply = await participant.train({
        round,
        payload,
        lastRound: call.lastRound,
        learningRate: call.learningRate,
        onProgress: (done, total) => {
          signal.throwIfAborted();
          over.signal.throwIfAborted();
          events.push({ type: "progress", round, done, total });
          if (performance.now() - told < 1000) return;
          told = performance.now();
          void this.#beat(call, { done, total }, over);
        },
      });
      // Before it is sent: the host may count on it from then on.
      await this.#options.store.save(STATE, participant.encode());
      phase = "upload";
      const reason = await this.#upload(call, reply);
      if (reason !== undefined) {
        events.push({ type: "round-lost", round, phase, reason });
        return;
      }
      this.#traffic.bytesUp += reply.payload.length;
      events.push({
        type: "sent",
        round,
        loss: reply.loss,
        bytesUp: reply.payload.length,
        traffic: { ...this.#traffic },
      });
    } catch (error) {
      signal.throwIfAborted();
      if (over.signal.aborted) {
        events.push({ type: "round-lost", round, phase, reason: String(over.signal.reason) });
        return;
      }
      const diverged = error instanceof NonFiniteError;
      const reason = error instanceof Error ? error.message : String(error);
      await link.tell("fail", { token, round, phase, reason: reason.slice(0, 2000), diverged }, 5000);
      // What follows from the round alone may go well in the next.
      if (!diverged && !(error instanceof CorruptFileError)) throw error;
      events.push({ type: "round-lost", round, phase, reason });
    } finally {
      clearInterval(alive);
    }
  }

  /** Scores a model on test data of one's own, and tells the host. */
  async score({ round, lastRound, download, ...call }: ScoreCall): Promise<void> {
    const { link, token, test, events } = this.#options;
    let evaluation: Evaluation | null = null;
    if (test !== undefined) {
      const payload = await this.#download(download);
      if (payload === undefined) return;
      const participant = await this.#open(call);
      const { loss, scores } = await participant.evaluate(test, { call: { round, payload, lastRound } });
      evaluation = { loss, scores };
      events.push({ type: "scores", round, evaluation });
    }
    await link.ask("score", { token, round, evaluation });
  }

  /** Takes the end of the federation, with its model. */
  async *end(
    { finished, reason, model: call }: End,
    leave: () => Promise<unknown>,
  ): AsyncGenerator<ParticipantEvent> {
    const { events } = this.#options;
    const payload = call && (yield* events.during(this.#download(call.download)));
    const traffic = { ...this.#traffic };
    await leave();
    if (payload === undefined) {
      yield { type: "ended", isFinished: finished, reason, traffic };
      return;
    }
    const participant = await this.#open(call!);
    const model = await participant.openModel({ round: call!.round, payload, lastRound: call!.lastRound });
    try {
      yield { type: "ended", isFinished: finished, reason, model, traffic };
    } finally {
      participant.close(model);
    }
  }

  [Symbol.dispose](): void {
    this.#participant?.[Symbol.dispose]();
  }

  async #open({ client, numClients }: Pick<TrainCall, "client" | "numClients">): Promise<Participant> {
    if (this.#participant !== undefined) return this.#participant;
    const { invitation, train, store, isNew } = this.#options;
    const { local, batchSize, optimizer, clipNorm, rounds, seed } = invitation;
    return this.#participant = await Participant.open(this.#pretrained, {
      method: createMethod(invitation.method),
      codec: createCodec(invitation.codec),
      work: local.steps === undefined ? { epochs: local.epochs! } : { steps: local.steps },
      batchSize,
      optimizer,
      clipNorm,
      rounds,
      seed,
      id: client,
      numClients,
      sampling: samplingOf(invitation, numClients),
      data: train,
      state: isNew ? undefined : await store.load(STATE),
    });
  }

  /** A payload, chunk by chunk; undefined where the host has gone on. */
  async #download(parcel: Parcel): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { link, token, limits = {} } = this.#options;
    const incoming = new Incoming(parcel, limits.downloadBytes ?? defaultDownload(this.#pretrained));
    const wanted = [...incoming.missing];
    const fetch = async () => {
      for (let index = wanted.shift(); index !== undefined; index = wanted.shift()) {
        const { words, chunk } = await link.ask("fetch", { token, sha256: parcel.sha256, index });
        if (words.type === "refused") return false;
        incoming.add(index, chunk);
      }
      return true;
    };
    const lanes = await Promise.all(Array.from({ length: window }, fetch));
    if (lanes.includes(false)) return undefined;
    const payload = await incoming.open();
    this.#traffic.bytesDown += payload.length;
    return payload;
  }

  /** Sends what was trained; what the host says against it, if it does. */
  async #upload(
    { round }: TrainCall,
    { payload, loss }: { readonly payload: Uint8Array<ArrayBuffer>; readonly loss: number },
  ): Promise<string | undefined> {
    const { link, token, connection } = this.#options;
    const outgoing = await packParcel(payload, connection.info?.max_payload ?? 1 << 20);
    const { parcel } = outgoing;
    const wanted = Array.from({ length: numChunks(parcel) }, (_, i) => i);
    const send = async () => {
      for (let index = wanted.shift(); index !== undefined; index = wanted.shift()) {
        const { words } = await link.ask(
          "send",
          { token, round, index, parcel, loss },
          chunkOf(outgoing, index),
        );
        if (words.type === "refused") return words.reason;
      }
    };
    const lanes = await Promise.all(Array.from({ length: window }, send));
    return lanes.find((reason) => reason !== undefined);
  }

  /** Scores the model that the round starts from on data of one's own. */
  async #score(participant: Participant, call: TrainCall, payload: Uint8Array): Promise<void> {
    const { test, events, invitation: { clientScores } } = this.#options;
    if (test === undefined || clientScores) return;
    const { round, lastRound } = call;
    const evaluation = await participant.evaluate(test, { call: { round, payload, lastRound } });
    events.push({ type: "scores", round, evaluation });
  }

  /** Tells the host that the participant is at work, and learns whether the round still waits for it. */
  async #beat(
    { round }: TrainCall,
    progress: { readonly done: number; readonly total: number },
    over: AbortController,
  ): Promise<void> {
    const { link, token } = this.#options;
    const answer = await link.tell("progress", { token, round, ...progress }, 5000).catch(() => undefined);
    if (answer?.words.type === "refused") over.abort(answer.words.reason);
  }
}

/** Under which key a participant's state is stored. */
const STATE = "participant.safetensors";

/** Chunks that are on their way at once. */
const window = 4;

function defaultDownload(model: TaskModel): number {
  let size = 0;
  for (const [, parameter] of model.namedParameters()) size += parameter.size;
  return Math.max(64 << 20, 4 * 4 * size);
}

function refused({ federation }: Invitation, name: string, { reason }: Refusal): RefusedError {
  return new RefusedError(`Cannot go on in federation ${federation} as ${name}: ${reason}`);
}

/** Checks what can be known before anybody joins. */
function checkInvitation(
  pretrained: TaskModel,
  { invitation, train, test, limits = {} }: JoinOptions,
): void {
  const { method: config, labels, task: { kind }, optimizer, local, batchSize, federation } = invitation;
  const { task, encoder } = pretrained;
  const action = `Cannot join federation ${federation}`;
  if (task.kind !== kind || task.labels.join("\n") !== labels.join("\n")) {
    throw new TypeError(
      `${action} with a model for ${task.kind} of ${task.labels.join(", ")}: expected ${kind} of ${
        labels.join(", ")
      }`,
    );
  }
  if (train.numExamples === 0) throw new RangeError(`${action} without examples`);
  const method = createMethod(config);
  method.check(pretrained);
  method.checkTraining?.({ optimizer });
  for (const set of [train, test]) {
    if (set === undefined) continue;
    encoder.checkInputs(set.inputs);
    checkPositions(method, { encoder, length: set.length });
  }
  const { privacy } = config;
  if (privacy?.kind === "local-dp" && privacy["noise"] !== "secret") {
    throw new FederationError(
      `${action}: its noise follows from a seed that the host knows, and hides nothing from it; expected noise "secret"`,
    );
  }
  const { steps: limit = 100_000 } = limits;
  const steps = local.steps ?? local.epochs! * Math.ceil(train.size / batchSize);
  if (steps > limit) {
    throw new FederationError(`${action}: it asks for ${steps} steps a round, and ${limit} are allowed`);
  }
}

/** Hands on what happens during a wait. */
class Events {
  readonly #onLeave: () => void;
  #events: ParticipantEvent[] = [];
  #wake: () => void = () => {};

  /** @param onLeave called when nobody wants to know any more; it ends the work. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  push(event: ParticipantEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  /** Yields events as they come until the work is done, and gives its result. */
  async *during<T>(work: Promise<T>): AsyncGenerator<ParticipantEvent, T> {
    let isDone = false;
    work.catch(() => {}).then(() => {
      isDone = true;
      this.#wake();
    });
    let isGiven = false;
    try {
      while (!isDone || this.#events.length > 0) {
        yield* this.#events.splice(0);
        if (isDone) continue;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (isDone || this.#events.length > 0) resolve();
        });
      }
      isGiven = true;
    } finally {
      if (!isGiven) {
        this.#onLeave();
        await work.catch(() => {});
      }
    }
    return await work;
  }
}
