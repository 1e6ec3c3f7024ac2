import { FederaError, tensor } from "../../engine/mod.ts";
import {
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type TaskModel,
  type TaskSet,
} from "../../tasks/mod.ts";
import type { Sampling } from "../fleet.ts";
import { Held } from "../held.ts";
import type { Client, Method } from "../method.ts";
import { disposeOwn } from "../own_parameters.ts";
import { type HostTensors, type Tensors, toHost, withParameters } from "../tensors.ts";
import { disposeTree, type Tree } from "../tree.ts";
import { clientModel } from "./client_model.ts";
import { hostStore } from "./client_store.ts";
import { decodeMemories, encodeMemories, type Memory } from "./memories.ts";
import { receivePayload, trainClient, type TrainClientOptions } from "./train_client.ts";

/** Options of {@linkcode Participant.open}. */
export interface ParticipantOptions extends
  Omit<
    TrainClientOptions,
    "client" | "round" | "payload" | "data" | "kept" | "receive" | "learningRate" | "onProgress"
  > {
  readonly method: Method;
  /** Its number in the federation, from 0; its batches are drawn by it. */
  readonly id: number;
  /** Clients of the whole federation. */
  readonly numClients: number;
  /** Rounds of the federation, where they are known. */
  readonly rounds?: number | undefined;
  /** How the server draws whom it asks, where it says so. */
  readonly sampling?: Sampling | undefined;
  /** Its own data. */
  readonly data: TaskSet;
  /** What {@linkcode Participant.encode} gave before, to go on from. */
  readonly state?: Uint8Array | undefined;
}

/** What the server calls a participant with. */
export interface RoundCall {
  /** From 1. */
  readonly round: number;
  /** What it downloads; not trusted. */
  readonly payload: Uint8Array;
  /**
   * The last round of which the server has the participant's upload, 0 for none: a participant whose upload was lost goes back to before it.
   * By default the last that it trained in, for a server that doesn't say.
   */
  readonly lastRound?: number | undefined;
  /** How far its labels are from those of all, where the method asks for it; the server knows. */
  readonly labelDivergence?: number | undefined;
}

/** What a participant is asked to train. */
export interface TrainCall extends RoundCall, Pick<TrainClientOptions, "learningRate" | "onProgress"> {}

/** What a participant answers. */
export interface TrainReply {
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly numExamples: number;
  /** Mean training loss over its steps. */
  readonly loss: number;
}

/** The server counts on a round that a participant knows nothing of: it was lost with its state, and must begin anew. */
export class ForgottenRoundError extends FederaError {
  override name = "ForgottenRoundError";
}

/**
 * One client of a real federation: its model, its data, and what it keeps from round to round. A node on another machine and a page in a
 * browser are this with a connection. Between rounds it holds on the device what the method put on the model at the start, and no more.
 *
 * @example
 * ```ts no-run
 * using participant = await Participant.open(pretrained, { method: feDeRa({ rank: 8 }), id: 0, numClients: 3, data, ...training });
 * const { payload, numExamples } = await participant.train({ round: 1, payload: downloaded, learningRate: 1e-3 });
 * await writeFileAtomic("participant.safetensors", participant.encode());
 * ```
 */
export class Participant {
  readonly #pretrained: TaskModel;
  readonly #options: ParticipantOptions;
  /** As `init` made it. */
  readonly #model: TaskModel;
  /** The server's state before the first round, which is all that a participant knows of it. */
  readonly #state: Tree;
  /** What it knew after its last rounds, the newest last: that of the last upload which the server has, and of one that may be lost. */
  #memories: readonly Memory[];

  private constructor(
    pretrained: TaskModel,
    options: ParticipantOptions,
    begun: { readonly model: TaskModel; readonly state: Tree; readonly memories: readonly Memory[] },
  ) {
    this.#pretrained = pretrained;
    this.#options = options;
    this.#model = begun.model;
    this.#state = begun.state;
    this.#memories = begun.memories;
  }

  /**
   * Puts on the pretrained model what clients train.
   *
   * @throws {CorruptFileError} when the state is broken, or that of another method, seed or client.
   * @throws as the method's `init`.
   */
  static async open(pretrained: TaskModel, options: ParticipantOptions): Promise<Participant> {
    const { method, seed, numClients, rounds, sampling, state: saved } = options;
    const memories = saved === undefined ? [] : decodeMemories(saved, ownerOf(options));
    const { model, state } = await method.init(pretrained, { seed, numClients, rounds, sampling });
    return new Participant(pretrained, options, { model, state, memories });
  }

  /** n_k: its examples. */
  get numExamples(): number {
    return this.#options.data.numExamples;
  }

  /** The last round that it trained in; 0 for none. */
  get lastRound(): number {
    return this.#memories.at(-1)?.round ?? 0;
  }

  /** What it keeps to itself for its next round: control variates, error feedback, personal parameters. */
  get kept(): HostTensors {
    return this.#memories.at(-1)?.kept ?? new Map();
  }

  /**
   * Trains in a round, from payload to payload. A round that fails leaves everything as it was.
   *
   * @throws {ForgottenRoundError} when the server counts on a round that it doesn't remember.
   * @throws as {@linkcode trainClient}.
   */
  async train(call: TrainCall): Promise<TrainReply> {
    const { method } = this.#options;
    const { round, payload, learningRate, onProgress } = call;
    const before = this.#memoryBefore(call);
    using held = new Held();
    const model = withParameters(this.#model, held.hold(this.#onDevice(before?.received)));
    const result = await trainClient(model, method.plan(this.#state, round), {
      ...this.#options,
      client: this.#client(before, call),
      round,
      payload,
      kept: before?.kept,
      receive: method.receive,
      learningRate,
      onProgress,
    });
    held.hold(ownOf(result.received, model));
    const received = new Map([...before?.received ?? [], ...await toHost(result.received)]);
    this.#memories = [...before === undefined ? [] : [before], { round, received, kept: result.kept }];
    return { payload: result.payload, numExamples: this.numExamples, loss: result.loss };
  }

  /**
   * Evaluates the model that a download makes, with what the participant keeps to itself, and remembers nothing of it.
   *
   * @throws {ForgottenRoundError} when the server counts on a round that it doesn't remember.
   * @throws {CorruptFileError} when the payload is broken.
   */
  async evaluate(
    set: TaskSet,
    { call, ...options }: { readonly call: RoundCall } & EvaluateOptions,
  ): Promise<Evaluation> {
    const model = await this.openModel(call);
    try {
      return await evaluate(model, set, options);
    } finally {
      this.close(model);
    }
  }

  /**
   * The participant's own model: what it received last, or what a download makes of that, with what it keeps to itself. {@linkcode close}
   * frees it.
   *
   * @throws as {@linkcode evaluate}.
   */
  async openModel(call?: RoundCall): Promise<TaskModel> {
    const { method, id, seed } = this.#options;
    const before = call === undefined ? this.#memories.at(-1) : this.#memoryBefore(call);
    using held = new Held();
    let global = withParameters(this.#model, held.hold(this.#onDevice(before?.received)));
    if (call !== undefined) {
      const { received, sent } = receivePayload(global, { ...call, seed, receive: method.receive });
      held.hold(sent);
      held.hold(ownOf(received, global));
      global = withParameters(global, received);
    }
    const { start: _, ...plan } = method.plan(this.#state, call?.round ?? Math.max(1, this.lastRound));
    const own = await clientModel(global, {
      plan,
      store: hostStore(before === undefined ? new Map() : new Map([[id, before.kept]])),
      client: this.#client(before, call),
    });
    held.release([...own.namedParameters()].map(([, parameter]) => parameter));
    return own;
  }

  /** Frees a model that {@linkcode openModel} gave. */
  close(model: TaskModel): void {
    disposeOwn(model, this.#model);
  }

  /** What it must keep to go on after its process ended, as one file. It holds what the participant keeps to itself, too. */
  encode(): Uint8Array<ArrayBuffer> {
    return encodeMemories(this.#memories, ownerOf(this.#options));
  }

  /** Frees what it holds; the pretrained model stays. */
  [Symbol.dispose](): void {
    const frozen = [...this.#pretrained.namedParameters()].map(([, parameter]) => parameter);
    disposeOwn(this.#model, this.#pretrained);
    disposeTree(this.#state, frozen);
  }

  /** What it knew before a round; undefined before its first. */
  #memoryBefore({ round, lastRound }: Pick<RoundCall, "round" | "lastRound">): Memory | undefined {
    if (lastRound === undefined) return this.#memories.findLast((each) => each.round < round);
    if (lastRound === 0) return undefined;
    const found = this.#memories.find((each) => each.round === lastRound && lastRound < round);
    if (found !== undefined) return found;
    const known = this.#memories.map((each) => each.round).join(" and ") || "none";
    throw new ForgottenRoundError(
      `Cannot take part in round ${round} as one whose last upload was of round ${lastRound}: this participant remembers ${known}; ` +
        "give it back its state, or have it join as a new one",
    );
  }

  #client(before: Memory | undefined, call: RoundCall | undefined): Client {
    const { labelDivergence } = call ?? {};
    return {
      id: this.#options.id,
      numExamples: this.numExamples,
      lastRound: before?.round ?? 0,
      ...(labelDivergence !== undefined && { labelDivergence }),
    };
  }

  #onDevice(values: HostTensors = new Map()): Tensors {
    const { gpu } = this.#model;
    return new Map([...values].map(([name, { data, shape }]) => [name, tensor(gpu, data, { shape })]));
  }
}

/** The tensors that aren't a model's already. */
function ownOf(received: Tensors, model: TaskModel): Tensors {
  const known = new Set([...model.namedParameters()].map(([, parameter]) => parameter));
  return new Map([...received].filter(([, each]) => !known.has(each)));
}

/** Whose state it is, in words that a file can hold. */
function ownerOf({ method, id, seed, numClients }: ParticipantOptions): string {
  return `client ${id} of ${numClients}, ${method.name}, seed ${seed}`;
}
