import type { NatsConnection } from "@nats-io/nats-core";
import type { TaskSet } from "../../../../tasks/mod.ts";
import type { Invitation } from "../invitation.ts";
import type { ParticipantStore } from "./participant_store.ts";

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
