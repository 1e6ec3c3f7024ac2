import type { FlowerRecords } from "./records/record.ts";

/** What a server asks a node to do. */
export interface FlowerMessage {
  /** Number of the run, of 64 bits. */
  readonly runId: bigint;
  /** Names this message alone; a node never gets it twice. */
  readonly messageId: string;
  /** What is asked: `train`, `evaluate`, `query` or `system`, perhaps with a name behind a dot, as `train.personalize`. */
  readonly type: string;
  /** The server's word for messages that belong together; Flower's own strategies say the round in `server-round` of the settings instead. */
  readonly groupId: string;
  /** When the server made the message, in seconds since 1970, by its clock. */
  readonly createdAt: number;
  /** Seconds after `createdAt` for which the server takes a reply. */
  readonly ttl: number;
  readonly records: FlowerRecords;
}

/** Where and until when a message is handled. */
export interface HandlerContext {
  /** The node's number at this SuperLink, of 64 bits. */
  readonly nodeId: bigint;
  /** Aborted when the node leaves: a handler may then finish, or throw what the signal has as its reason. */
  readonly signal: AbortSignal;
}

/**
 * Does what a message asks and returns the records of the reply. What it throws goes to the server as an error reply, whose
 * text is the error's message, and the round goes on without this node: keep private things out of it.
 *
 * A node handles one message at a time.
 */
export type FlowerHandler = (
  message: FlowerMessage,
  context: HandlerContext,
) => FlowerRecords | Promise<FlowerRecords>;
