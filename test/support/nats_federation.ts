import assert from "node:assert/strict";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Gpu } from "../../src/engine/mod.ts";
import { createMethod } from "../../src/experiment/config/method_config.ts";
import {
  createCodec,
  disposeOwn,
  type RoundReport,
  simulate,
  type SimulationOptions,
} from "../../src/fl/mod.ts";
import {
  type HostEvent,
  hostFederation,
  type HostOptions,
  type HostSettings,
  type Invitation,
  joinFederation,
  type JoinOptions,
  type ParticipantEvent,
} from "../../src/network/nats/federation/mod.ts";
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
      rank: 2,
      alpha: 3,
      targets: ["encoder.inner"],
      ...method,
    }),
    codec: { name: "f32" },
    local: { steps: 2 },
    batchSize: 4,
    optimizer: shape.optimizer.parse({ name: "sgd" }),
    rounds: 3,
    participants: names.length,
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
): Promise<Outcome> {
  const reports: Omit<RoundReport, "seconds" | "liveBytes" | "test">[] = [];
  let parameters: Outcome["parameters"] = [];
  for await (const event of events as AsyncIterable<HostEvent>) {
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
export async function simulated(
  { pretrained, train, clients, settings }: TinyFederation,
  more: Partial<SimulationOptions> = {},
): Promise<Outcome> {
  const { method, codec, local, batchSize, optimizer, rounds, seed, clipNorm, clientsPerRound } = settings;
  return await outcomeOf(
    simulate(pretrained, {
      method: createMethod(method),
      codec: createCodec(codec),
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
    }),
    pretrained,
  );
}

/** The settings as a participant reads them. */
export type { Invitation };

/** Hosts, over a connection of its own. */
export async function host(
  url: string,
  { pretrained, settings }: TinyFederation,
  more: Partial<HostOptions> = {},
): Promise<Outcome> {
  const connection = await connect({ servers: url });
  try {
    return await outcomeOf(
      hostFederation(pretrained, { connection, settings, evaluateEvery: 0, ...more }),
      pretrained,
    );
  } finally {
    await connection.close();
  }
}

/** Options of {@linkcode join}. */
export interface JoiningOptions extends Partial<JoinOptions> {
  readonly name: string;
  readonly onEvent?: (event: ParticipantEvent) => void;
  readonly connectWith?: Parameters<typeof connect>[0];
}

/** Takes part over a connection of its own to the end; what happened, and the bits of the model that it got. */
export async function join(
  url: string,
  federation: TinyFederation,
  { name, onEvent, connectWith, ...more }: JoiningOptions,
): Promise<{ readonly events: readonly ParticipantEvent[]; readonly model: Outcome["parameters"] }> {
  const { readInvitation } = await import("../../src/network/nats/federation/mod.ts");
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
        connection,
        invitation,
        name,
        train: federation.dataOf(name),
        ...more,
      })
    ) {
      events.push(event);
      onEvent?.(event);
      if (event.type === "ended" && event.model) model = await bitsOfModel(event.model);
    }
  } finally {
    await connection.close();
  }
  return { events, model };
}

/** What went through a server that a test may look at. */
export function expectEnd(events: readonly ParticipantEvent[]): void {
  assert.equal(events.at(-1)?.type, "ended");
}

export type { NatsConnection };
