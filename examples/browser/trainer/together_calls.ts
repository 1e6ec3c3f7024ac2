import type { ModelLikeness, Score, SharedCalls } from "./calls.ts";

/** What the page that trains together with others asks of the trainer. */
export interface TogetherCalls extends SharedCalls {
  /** Connects to a server, and reads what a federation is about. */
  readInvitation: { input: Address; event: ReachEvent; output: InvitationInfo };
  /** Joins the federation of the last invitation, and takes part to its end or until it is cancelled. */
  takePart: { input: undefined; event: PartEvent; output: Part };
}

/** Where a federation is, and who wants to join. */
export interface Address {
  /** `ws://…` or `wss://…`. */
  readonly server: string;
  readonly federation: string;
  /** The participant's name. */
  readonly name: string;
  /** For servers that ask who one is. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

/** Whether the host can be reached. */
export interface ReachEvent {
  readonly type: "reach";
  readonly isReached: boolean;
}

/** What a person decides by. */
export interface InvitationInfo {
  readonly federation: string;
  readonly host: string;
  readonly labels: readonly string[];
  readonly model: ModelLikeness & { readonly source: string };
  readonly maxLength: number;
  readonly method: string;
  readonly rank: number | undefined;
  /** Where noise is put on what is learned: in this page before it is sent, by the host on the sum, or nowhere. */
  readonly noise: "here" | "host" | "none";
  readonly codec: string;
  readonly rounds: number;
  readonly participants: number;
  readonly clientsPerRound: number;
  /** Local passes or steps of a round. */
  readonly work: string;
  readonly batchSize: number;
  readonly roundSeconds: number;
  readonly sharesModel: boolean;
}

/** What happens while one takes part. */
export type PartEvent =
  | ReachEvent
  | { readonly type: "joined"; readonly isBack: boolean }
  | { readonly type: "waiting"; readonly reason: string }
  | { readonly type: "round"; readonly round: number; readonly bytesDown: number }
  | { readonly type: "progress"; readonly round: number; readonly done: number; readonly total: number }
  /** Of the model that the round starts from, on what was held out here; it isn't sent. */
  | { readonly type: "score"; readonly round: number; readonly score: Score }
  | { readonly type: "sent"; readonly round: number; readonly bytesUp: number; readonly loss: number }
  | { readonly type: "lost"; readonly round: number; readonly reason: string };

/** How it ended. */
export interface Part {
  readonly ended: "finished" | "over" | "left";
  readonly reason: string;
  /** The number of the model that the host shares, from 1, and what it comes to on what was held out here. */
  readonly run?: number | undefined;
  readonly score?: Score | undefined;
  /** Why the shared model can't be kept, where it can't. */
  readonly problem?: string | undefined;
}
