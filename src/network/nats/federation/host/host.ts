import type { NatsConnection } from "@nats-io/nats-core";
import { constantSchedule, type Schedule } from "../../../../engine/mod.ts";
import { type AggregatorConfig, createAggregator } from "../../../../experiment/config/aggregator_config.ts";
import { createMethod } from "../../../../experiment/config/method_config.ts";
import { fingerprintOf } from "../../../../federa/mod.ts";
import {
  createCodec,
  federate,
  type FederationEvent,
  type FederationOptions,
  type RunState,
} from "../../../../fl/mod.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import { atLeast } from "./at_least.ts";
import { checkHosted } from "./check_hosted.ts";
import { type Desk, openDesk } from "./desk.ts";
import { FederationError } from "../errors.ts";
import { Failure } from "./failure.ts";
import { type FinalModel, packFinalModels } from "./final_models.ts";
import { type Invitation, invitationSchema, SOFTWARE } from "../invitation.ts";
import { NatsParticipants } from "./nats_participants.ts";
import { type Ending, type ParticipantNews, Reception } from "./reception.ts";
import { checkMembers, type Member, Roster } from "./roster.ts";
import { fleetOf } from "../sampling.ts";
import { randomHex } from "../token.ts";

/** What a host decides of its federation; the rest of its invitation follows from the model. */
export type HostSettings = Omit<Invitation, "run" | "software" | "model" | "labels"> & {
  readonly model: Omit<Invitation["model"], "fingerprint">;
  /** How uploads are combined; the mean by default. */
  readonly aggregator?: AggregatorConfig | undefined;
};

/** Options of {@linkcode hostFederation}. */
export interface HostOptions {
  readonly connection: NatsConnection;
  readonly settings: HostSettings;
  /** Learning rate of a round, by its index from 0; by default that of the method, for all. */
  readonly learningRate?: Schedule | undefined;
  /** Seconds to wait for those who are missing before the first round, or while too few are there; 3600 by default. */
  readonly gatherSeconds?: number | undefined;
  /** Goes on with a run that was interrupted. */
  readonly resume?: HostedRun & { readonly state?: RunState | undefined } | undefined;
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
  | FederationEvent<never>
  | { readonly type: "gathering"; readonly invitation: Invitation }
  | { readonly type: "begun" } & HostedRun;

/** What a federation is played with, beside its settings. */
export interface PlayOptions extends
  Pick<
    FederationOptions,
    "measures" | "evaluate" | "evaluateEvery" | "shouldStop" | "resume"
  > {
  /** Rounds, if not as the settings say. */
  readonly rounds?: number | undefined;
}

/** A host between the first invitation and the end; {@linkcode hostFederation} is the whole of it. */
export class FederationHost {
  /** What participants read before they join. */
  readonly invitation: Invitation;
  readonly #pretrained: TaskModel;
  readonly #options: HostOptions;
  readonly #roster: Roster;
  readonly #reception: Reception;
  readonly #failure: Failure;
  #desk: Desk | undefined;
  #ending: Ending | undefined;

  private constructor(pretrained: TaskModel, invitation: Invitation, options: HostOptions) {
    const { resume, onNews, signal } = options;
    this.invitation = invitation;
    this.#pretrained = pretrained;
    this.#options = options;
    this.#roster = new Roster(resume && checkMembers(resume.members));
    this.#reception = new Reception({ invitation, roster: this.#roster, onNews });
    this.#failure = new Failure(signal);
  }

  /**
   * Begins to answer participants.
   *
   * @throws as {@linkcode hostFederation}, but for too few participants.
   */
  static async open(pretrained: TaskModel, options: HostOptions): Promise<FederationHost> {
    const { connection, settings: { aggregator: _, ...settings }, resume } = options;
    const method = createMethod(settings.method);
    checkHosted(method, { settings: options.settings, codec: createCodec(settings.codec), pretrained });
    const invitation = invitationSchema.parse({
      ...settings,
      run: resume?.run ?? randomHex(16),
      software: SOFTWARE,
      labels: [...pretrained.task.labels],
      model: { ...settings.model, fingerprint: await fingerprintOf(pretrained.encoder) },
    });
    const host = new FederationHost(pretrained, invitation, options);
    host.#desk = await openDesk(connection, {
      federation: settings.federation,
      handlers: host.#reception.handlers,
      onError: (error) => host.#failure.fail(error),
    });
    return host;
  }

  /**
   * Waits until everybody has joined, and gives them their numbers; a run that is resumed has them.
   *
   * @throws {FederationError} when too few have joined in time.
   */
  async gather(): Promise<HostedRun> {
    const { gatherSeconds = gatherDefault, settings: { federation, participants } } = this.#options;
    const roster = this.#roster;
    if (!roster.hasBegun) {
      const isComplete = this.#reception.until(() => roster.size >= participants, gatherSeconds);
      if (!await this.#during(isComplete)) {
        throw this.#ends(
          new FederationError(
            `Cannot begin federation ${federation}: waited ${gatherSeconds} s, and ${roster.size} of ${participants} participants have ` +
              "joined; start those that are missing, or host it for fewer",
          ),
        );
      }
      roster.begin();
    }
    return { run: this.invitation.run, members: roster.members.map(memberOf) };
  }

  /**
   * Plays the rounds.
   *
   * @throws as {@linkcode hostFederation}.
   */
  async *play(options: PlayOptions = {}): AsyncGenerator<FederationEvent<never>, void> {
    const { connection, settings, learningRate, gatherSeconds = gatherDefault } = this.#options;
    const { seed, sharesModel, rounds } = settings;
    const method = createMethod(settings.method);
    const codec = createCodec(settings.codec);
    const maxMessageBytes = connection.info?.max_payload ?? 1 << 20;
    const [roster, reception] = [this.#roster, this.#reception];
    const participants = new NatsParticipants({
      ...settings,
      reception,
      roster,
      codec,
      failure: this.#failure,
      gatherSeconds,
      learningRate: learningRate ?? constantSchedule(settings.method.learningRate),
      maxMessageBytes,
    });
    const last = options.rounds ?? rounds;
    let played = options.resume?.round ?? 0;
    let models: ReadonlyMap<string, FinalModel> = new Map();
    const pack = async (model: TaskModel, state: RunState) => {
      if (sharesModel) models = await packFinalModels(model, { method, state, roster, maxMessageBytes });
    };
    try {
      const playing = federate<never>(this.#pretrained, {
        ...options,
        ...(settings.clientScores && {
          evaluate: async (model, context) => {
            const own = await options.evaluate?.(model, context);
            const theirs = await participants.evaluate(model, context);
            return { ...theirs, test: own?.test ?? theirs?.test ?? null };
          },
        }),
        method,
        participants,
        fleet: fleetOf(settings, roster.members.map(({ numExamples }) => numExamples)),
        rounds: last,
        seed,
        aggregator: atLeast(settings, { method, aggregator: createAggregator(settings.aggregator) }),
      });
      for await (const event of playing) {
        yield event;
        if (event.type === "round") {
          played = event.report.round;
          if (played === last || options.shouldStop?.(event.report)) await pack(event.model, event.state);
        }
        // One that is resumed after its last round has none to come.
        if (event.type === "initialized" && options.resume && played >= last) {
          await pack(event.model, options.resume);
        }
        if (event.type === "finished") {
          this.#ending = {
            words: { type: "end", finished: true, reason: `${played} of ${rounds} rounds are played` },
            model: (name) => models.get(name),
          };
        }
      }
    } catch (error) {
      throw this.#ends(error);
    }
  }

  /** Tells the participants of the end, unless it was interrupted and may be resumed: then they wait for it. */
  async close(): Promise<void> {
    const { connection } = this.#options;
    if (connection.isClosed()) return;
    if (this.#ending === undefined) this.#reception.pause();
    else await this.#reception.end(this.#ending, farewellSeconds);
    this.#desk?.close();
    if (!connection.isClosed()) await connection.flush().catch(() => {});
  }

  async #during<T>(work: Promise<T>): Promise<T> {
    try {
      return await this.#failure.during(work);
    } catch (error) {
      throw this.#ends(error);
    }
  }

  /** Ends the federation with an error, unless it was interrupted. */
  #ends(error: unknown): unknown {
    const { signal } = this.#options;
    if (!signal?.aborted) {
      this.#ending = { words: { type: "end", finished: false, reason: reasonOf(error) } };
    }
    return error;
  }
}

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
  options: HostOptions & Omit<PlayOptions, "resume">,
): AsyncGenerator<HostEvent, void> {
  const { resume } = options;
  const host = await FederationHost.open(pretrained, options);
  try {
    if (resume === undefined) yield { type: "gathering", invitation: host.invitation };
    const begun = await host.gather();
    if (resume === undefined) yield { type: "begun", ...begun };
    yield* host.play({ ...options, resume: resume?.state });
  } finally {
    await host.close();
  }
}

/** How long to wait for participants that are missing, in seconds. */
const gatherDefault = 3600;
/** How long a host stays to tell everybody that is there of the end, in seconds. */
const farewellSeconds = 20;

function memberOf({ name, tokenHash, numExamples, adapter, software }: Member): Member {
  return { name, tokenHash, numExamples, adapter, software };
}

function reasonOf(error: unknown): string {
  return `its host has failed: ${(error instanceof Error ? error.message : String(error)).slice(0, 1500)}`;
}
