import type { NatsConnection } from "@nats-io/nats-core";
import { constantSchedule, type Schedule } from "../../../engine/mod.ts";
import { type AggregatorConfig, createAggregator } from "../../../experiment/config/aggregator_config.ts";
import { createMethod } from "../../../experiment/config/method_config.ts";
import { fingerprintOf } from "../../../federa/mod.ts";
import {
  createCodec,
  federate,
  type FederationEvent,
  type FederationOptions,
  type RoundReport,
  type RunState,
} from "../../../fl/mod.ts";
import type { TaskModel } from "../../../tasks/mod.ts";
import { atLeast } from "./at_least.ts";
import { checkHosted } from "./check_hosted.ts";
import { openDesk } from "./desk.ts";
import { FederationError } from "./errors.ts";
import { Failure } from "./failure.ts";
import { type FinalModel, packFinalModels } from "./final_models.ts";
import { type Invitation, SOFTWARE } from "./invitation.ts";
import { NatsParticipants } from "./nats_participants.ts";
import { type Ending, type ParticipantNews, Reception } from "./reception.ts";
import { checkMembers, type Member, randomHex, Roster } from "./roster.ts";
import { fleetOf } from "./sampling.ts";

/** What a host decides of its federation; the rest of its invitation follows from the model. */
export type HostSettings = Omit<Invitation, "run" | "software" | "model" | "labels"> & {
  readonly model: Omit<Invitation["model"], "fingerprint">;
  /** How uploads are combined; the mean by default. */
  readonly aggregator?: AggregatorConfig | undefined;
};

/** Options of {@linkcode hostFederation}. */
export interface HostOptions
  extends Pick<FederationOptions, "measures" | "evaluate" | "evaluateEvery" | "shouldStop"> {
  readonly connection: NatsConnection;
  readonly settings: HostSettings;
  /** Learning rate of a round, by its index from 0; by default that of the method, for all. */
  readonly learningRate?: Schedule | undefined;
  /** Seconds to wait for those who are missing before the first round, or while too few are there; 3600 by default. */
  readonly gatherSeconds?: number | undefined;
  /** Goes on with a run that was interrupted. */
  readonly resume?: HostedRun & { readonly state: RunState } | undefined;
  /** Called with what happens to participants, whenever it does. */
  readonly onNews?: ((news: ParticipantNews) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a host must keep of its participants to go on, beside the run's state. */
export interface HostedRun {
  /** Identifies the run to those who come back. */
  readonly run: string;
  /** By client number. */
  readonly members: readonly Member[];
}

/** What {@linkcode hostFederation} reports as it goes. */
export type HostEvent =
  | FederationEvent
  | { readonly type: "gathering"; readonly invitation: Invitation }
  | { readonly type: "begun" } & HostedRun;

/**
 * Hosts a federation: invites participants over NATS, begins once enough have joined, and plays its rounds with them. Clients are numbered
 * in the order of their names, so that results don't depend on who came first. A participant that is lost in a round may be there in the next.
 *
 * @throws {FederationError} when too few come, another host has the federation, or the server doesn't permit what it takes.
 * @throws {TypeError} when method and what stands beside it can't be run with participants elsewhere.
 * @throws as {@linkcode federate}.
 *
 * @example
 * ```ts no-run
 * for await (const event of hostFederation(pretrained, { connection, settings })) {
 *   if (event.type === "round") console.log(event.report.round, event.report.trainLoss);
 * }
 * ```
 */
export async function* hostFederation(
  pretrained: TaskModel,
  options: HostOptions,
): AsyncGenerator<HostEvent, void> {
  const { connection, settings, resume, signal, gatherSeconds = 3600, onNews } = options;
  const { aggregator, federation, participants: count, rounds, seed, sharesModel, ...offered } = settings;
  const method = createMethod(settings.method);
  const codec = createCodec(settings.codec);
  checkHosted(method, { settings, codec, pretrained });
  const invitation: Invitation = {
    ...offered,
    federation,
    participants: count,
    rounds,
    seed,
    sharesModel,
    run: resume?.run ?? randomHex(16),
    software: SOFTWARE,
    labels: [...pretrained.task.labels],
    model: { ...settings.model, fingerprint: await fingerprintOf(pretrained.encoder) },
  };
  const maxMessageBytes = connection.info?.max_payload ?? 1 << 20;
  const roster = new Roster(resume && checkMembers(resume.members));
  const reception = new Reception({ invitation, roster, onNews });
  const failure = new Failure(signal);
  const desk = await openDesk(connection, {
    federation,
    handlers: reception.handlers,
    onError: (error) => failure.fail(error),
  });
  let models: ReadonlyMap<string, FinalModel> = new Map();
  let ending: Ending | undefined;
  try {
    if (resume === undefined) {
      yield { type: "gathering", invitation };
      const isComplete = reception.until(() => roster.size >= count, gatherSeconds);
      if (!await failure.during(isComplete)) {
        throw new FederationError(
          `Cannot begin federation ${federation}: waited ${gatherSeconds} s, and ${roster.size} of ${count} participants have joined; ` +
            "start those that are missing, or host it for fewer",
        );
      }
      yield { type: "begun", run: invitation.run, members: roster.begin().map(memberOf) };
    }
    const shouldStop = (report: RoundReport) => options.shouldStop?.(report) ?? false;
    const playing = federate(pretrained, {
      ...options,
      method,
      participants: new NatsParticipants({
        ...settings,
        reception,
        roster,
        codec,
        failure,
        gatherSeconds,
        learningRate: options.learningRate ?? constantSchedule(settings.method.learningRate),
        maxMessageBytes,
      }),
      fleet: fleetOf(settings, roster.members.map(({ numExamples }) => numExamples)),
      rounds,
      seed,
      aggregator: atLeast(settings, { method, aggregator: createAggregator(aggregator) }),
      resume: resume?.state,
    });
    let played = resume?.state.round ?? 0;
    for await (const event of playing) {
      if (event.type === "round") {
        played = event.report.round;
        if (sharesModel && (played === rounds || shouldStop(event.report))) {
          models = await packFinalModels(event.model, {
            method,
            state: event.state,
            roster,
            maxMessageBytes,
          });
        }
      }
      yield event;
      if (event.type === "finished") {
        ending = {
          words: {
            type: "end",
            finished: true,
            reason: `${played} of ${rounds} rounds are played`,
          },
          model: (name) => models.get(name),
        };
      }
    }
  } catch (error) {
    // One that was interrupted may be resumed: its participants wait for it.
    if (!signal?.aborted) ending = { words: { type: "end", finished: false, reason: reasonOf(error) } };
    throw error;
  } finally {
    if (!connection.isClosed()) {
      if (ending === undefined) reception.pause();
      else await reception.end(ending, farewellSeconds);
      desk.close();
      await connection.flush();
    }
  }
}

/** How long a host stays to tell everybody that is there of the end. */
const farewellSeconds = 20;

function memberOf({ name, tokenHash, numExamples, adapter, software }: Member): Member {
  return { name, tokenHash, numExamples, adapter, software };
}

function reasonOf(error: unknown): string {
  return `its host has failed: ${(error instanceof Error ? error.message : String(error)).slice(0, 1500)}`;
}
