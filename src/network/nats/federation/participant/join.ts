import { describeAdapter } from "../../../../experiment/gpu/describe_adapter.ts";
import { fingerprintOf } from "../../../../federa/mod.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import { FederationError, RefusedError } from "../errors.ts";
import { type Invitation, SOFTWARE } from "../invitation.ts";
import { PROTOCOL, type Refusal } from "../messages.ts";
import { holdMilliseconds } from "../pace.ts";
import { checkInvitation } from "./check_invitation.ts";
import { EventStream } from "./event_stream.ts";
import { HostLink } from "./host_link.ts";
import { openIdentity } from "./identity.ts";
import type { InvitationOptions, JoinOptions } from "./join_options.ts";
import type { ParticipantEvent } from "./participant_event.ts";
import { memoryStore } from "./participant_store.ts";
import { Session } from "./session.ts";

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
  const events = new EventStream(() => left.abort(new Error("The participant has left")));
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

function refused({ federation }: Invitation, name: string, { reason }: Refusal): RefusedError {
  return new RefusedError(`Cannot go on in federation ${federation} as ${name}: ${reason}`);
}
