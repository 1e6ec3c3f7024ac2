import { CorruptFileError } from "../../../../data/errors.ts";
import { NonFiniteError } from "../../../../engine/mod.ts";
import { createMethod } from "../../../../experiment/config/method_config.ts";
import { createCodec, type Lost, Participant } from "../../../../fl/mod.ts";
import type { Evaluation, TaskModel } from "../../../../tasks/mod.ts";
import type { End, Parcel, ScoreCall, TrainCall } from "../messages.ts";
import { beatMilliseconds } from "../pace.ts";
import { chunkOf, Incoming, numChunks, packParcel } from "../parcels.ts";
import { samplingOf } from "../sampling.ts";
import type { EventStream } from "./event_stream.ts";
import type { HostLink } from "./host_link.ts";
import type { JoinOptions } from "./join_options.ts";
import type { ParticipantEvent } from "./participant_event.ts";
import type { ParticipantStore } from "./participant_store.ts";

/** Options of {@linkcode Session}. */
export interface SessionOptions extends JoinOptions {
  readonly store: ParticipantStore;
  readonly token: string;
  readonly link: HostLink;
  readonly events: EventStream;
  readonly isNew: boolean;
  readonly signal: AbortSignal;
}

/** A participant's part in the rounds of one run. */
export class Session {
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
