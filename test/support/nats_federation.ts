import assert from "node:assert/strict";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Gpu } from "../../src/engine/mod.ts";
import { fingerprintOf } from "../../src/federa/mod.ts";
import { createAggregator } from "../../src/experiment/config/aggregator_config.ts";
import { createMethod } from "../../src/experiment/config/method_config.ts";
import {
  createCodec,
  disposeOwn,
  methods,
  type RoundReport,
  simulate,
  type SimulationEvent,
  type SimulationOptions,
} from "../../src/fl/mod.ts";
import {
  type HostEvent,
  hostFederation,
  type HostOptions,
  type HostSettings,
  joinFederation,
  type JoinOptions,
  type ParticipantEvent,
  readInvitation,
} from "../../src/network/nats/federation/mod.ts";
import type { PlayOptions } from "../../src/network/nats/federation/host/host.ts";
import { HostLink } from "../../src/network/nats/federation/participant/host_link.ts";
import type { TrainCall } from "../../src/network/nats/federation/messages.ts";
import { chunkOf, numChunks, packParcel } from "../../src/network/nats/federation/parcels.ts";
import { randomHex } from "../../src/network/nats/federation/token.ts";
import { invitationSchema } from "../../src/network/nats/federation/invitation.ts";
import type { TaskModel, TaskSet } from "../../src/tasks/mod.ts";
import { bitsOf } from "../engine/harness.ts";
import { subsetOf } from "./payload_participants.ts";
import { randomClients, tinyClassifier, tinyTask } from "./tiny_encoder.ts";

/** Names of participants, in the order of their client numbers. */
export const names = ["ada", "bob", "cyd"] as const;

/** A federation of three participants on a tiny encoder. */
export interface TinyFederation {
  readonly pretrained: TaskModel;
  readonly train: TaskSet;
  readonly clients: readonly (readonly number[])[];
  readonly settings: HostSettings;
  /** The data of a participant. */
  dataOf(name: string): TaskSet;
}

/** A federation of a method, with what differs from plain settings. */
export function tinyFederation(
  gpu: Gpu,
  method: Record<string, unknown>,
  more: Partial<HostSettings> = {},
): TinyFederation {
  const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });
  const train = tinyTask({ size: 24, length: 4, seed: 1 });
  const clients = randomClients(train.size, names.length, 3);
  const shape = invitationSchema.shape;
  const settings: HostSettings = {
    federation: "tiny",
    host: "a test",
    task: { kind: "sequence-classification" },
    model: { source: "tiny", precision: "f32" },
    maxLength: 4,
    seed: 5,
    method: shape.method.parse({
      learningRate: 0.05,
      ...("rank" in methods.get(String(method["method"]))!.definition.options.shape &&
        { rank: 2, alpha: 3, targets: ["encoder.inner"] }),
      ...method,
    }),
    codec: { name: "f32" },
    local: { steps: 2 },
    batchSize: 4,
    optimizer: shape.optimizer.parse({ name: "sgd" }),
    rounds: 3,
    participants: names.length,
    minimum: 2,
    roundSeconds: 60,
    silenceSeconds: 20,
    sharesModel: true,
    ...more,
  };
  return {
    pretrained,
    train,
    clients,
    settings,
    dataOf: (name) => subsetOf(train, clients[names.indexOf(name as "ada")]!),
  };
}

/** What a run comes to, for comparison. */
export interface Outcome {
  readonly reports: readonly Omit<RoundReport, "seconds" | "liveBytes" | "test">[];
  /** Bits of the final parameters by name. */
  readonly parameters: readonly (readonly [string, readonly number[]])[];
}

/** What events come to; the final model is freed. */
export async function outcomeOf(
  events: AsyncIterable<HostEvent | { readonly type: string }>,
  pretrained: TaskModel,
  onEvent?: (event: HostEvent) => unknown,
): Promise<Outcome> {
  const reports: Omit<RoundReport, "seconds" | "liveBytes" | "test">[] = [];
  let parameters: Outcome["parameters"] = [];
  for await (const event of events as AsyncIterable<HostEvent>) {
    await onEvent?.(event);
    if (event.type === "round") {
      const { seconds: _, liveBytes: __, test: ___, ...rest } = event.report;
      reports.push(rest);
    }
    if (event.type === "finished") {
      parameters = await bitsOfModel(event.model);
      disposeOwn(event.model, pretrained);
    }
  }
  return { reports, parameters };
}

/** Bits of a model's parameters by name. */
export async function bitsOfModel(model: TaskModel): Promise<(readonly [string, number[]])[]> {
  return await Promise.all(
    [...model.namedParameters()].map(async ([name, each]) =>
      [name, [...bitsOf(await each.floats())]] as const
    ),
  );
}

/** What the same federation comes to in one process. */
export async function simulated(federation: TinyFederation): Promise<Outcome> {
  return await outcomeOf(simulation(federation), federation.pretrained);
}

/** The same federation in one process. */
export function simulation(
  { pretrained, train, clients, settings }: TinyFederation,
  more: Partial<SimulationOptions> = {},
): AsyncGenerator<SimulationEvent> {
  const { method, codec, local, batchSize, optimizer, rounds, seed, clipNorm, clientsPerRound } = settings;
  return simulate(pretrained, {
    method: createMethod(method),
    codec: createCodec(codec),
    aggregator: createAggregator(settings.aggregator),
    train,
    test: train,
    clients,
    work: local.steps === undefined ? { epochs: local.epochs! } : { steps: local.steps },
    batchSize,
    optimizer,
    clipNorm,
    rounds,
    learningRate: method.learningRate,
    ...(clientsPerRound !== undefined && { clientsPerRound }),
    seed,
    blockSize: 3,
    evaluateEvery: 0,
    ...more,
  });
}

/** Hosts, over a connection of its own. */
export async function host(
  url: string,
  { pretrained, settings }: TinyFederation,
  { onEvent, ...more }: Partial<HostOptions & Omit<PlayOptions, "resume">> & {
    readonly onEvent?: (event: HostEvent) => unknown;
  } = {},
  connectWith: Parameters<typeof connect>[0] = {},
): Promise<Outcome> {
  const connection = await connect({ servers: url, reconnectTimeWait: 100, ...connectWith });
  try {
    return await outcomeOf(
      // A test whose participants don't come ends, and says so.
      hostFederation(pretrained, { connection, settings, evaluateEvery: 0, gatherSeconds: 120, ...more }),
      pretrained,
      onEvent,
    );
  } finally {
    await connection.close();
  }
}

/** Options of {@linkcode join}. */
export interface JoiningOptions extends Partial<JoinOptions> {
  readonly name: string;
  readonly onEvent?: (event: ParticipantEvent, connection: NatsConnection) => void | Promise<void>;
  readonly connectWith?: Parameters<typeof connect>[0];
}

/** Takes part over a connection of its own to the end; what happened, and the bits of the model that it got. */
export async function join(
  url: string,
  federation: TinyFederation,
  { name, onEvent, connectWith, ...more }: JoiningOptions,
): Promise<{ readonly events: readonly ParticipantEvent[]; readonly model: Outcome["parameters"] }> {
  const connection = await connect({ servers: url, reconnectTimeWait: 100, ...connectWith });
  const events: ParticipantEvent[] = [];
  let model: Outcome["parameters"] = [];
  try {
    const invitation = await readInvitation({
      connection,
      federation: federation.settings.federation,
      name,
      ...more,
    });
    for await (
      const event of joinFederation(federation.pretrained, {
        invitation,
        name,
        train: federation.dataOf(name),
        ...more,
        connection,
      })
    ) {
      events.push(event);
      await onEvent?.(event, connection);
      if (event.type === "ended" && event.model) model = await bitsOfModel(event.model);
    }
  } finally {
    await connection.close();
  }
  return { events, model };
}

/** A participant of the test's own, which does as it likes. */
export class Odd {
  readonly connection: NatsConnection;
  readonly link: HostLink;
  readonly token = randomHex(32);
  readonly #federation: TinyFederation;

  private constructor(connection: NatsConnection, federation: TinyFederation, name: string) {
    this.connection = connection;
    this.#federation = federation;
    this.link = new HostLink(connection, { federation: federation.settings.federation, name });
  }

  /** Joins with what is expected of a participant. */
  static async join(url: string, federation: TinyFederation, name: string): Promise<Odd> {
    const odd = new Odd(await connect({ servers: url }), federation, name);
    assert.equal((await odd.ask()).type, "admitted");
    return odd;
  }

  /** Asks to join, with something else in places. */
  async ask(more: Record<string, unknown> = {}) {
    const { words } = await this.link.ask("join", {
      token: this.token,
      numExamples: 4,
      base: await fingerprintOf(this.#federation.pretrained.encoder),
      adapter: "odd",
      software: "odd",
      ...more,
    });
    return words;
  }

  /** The next call; undefined at the end of the federation. */
  async call(): Promise<TrainCall | undefined> {
    for (;;) {
      const { words } = await this.link.ask("next", { token: this.token });
      if (words.type === "train") return words;
      if (words.type === "end") {
        await this.link.tell("leave", { token: this.token }, 1000);
        await this.connection.close();
        return undefined;
      }
    }
  }

  /** Sends an upload; the last answer. */
  async send(round: number, payload: Uint8Array<ArrayBuffer>, more: Record<string, unknown> = {}) {
    const outgoing = await packParcel(payload, 1 << 20);
    for (let index = 0;; index++) {
      const { words } = await this.link.ask(
        "send",
        { token: this.token, round, index, parcel: outgoing.parcel, loss: 1, ...more },
        chunkOf(outgoing, index),
      );
      if (words.type === "refused" || index === numChunks(outgoing.parcel) - 1) return words;
    }
  }
}
