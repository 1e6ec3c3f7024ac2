import {
  AckPolicy,
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { nanos, type NatsConnection, NoRespondersError } from "@nats-io/nats-core";
import { isMissing, Objects } from "../../objects.ts";
import { WorkersError } from "../errors.ts";
import type { QueueNames } from "../names.ts";

/** How long what a dead run left behind stays on the server. */
const maxAgeSeconds = 3 * 86_400;
/** Bytes of the messages that may wait in a stream. */
const streamBytes = 64 << 20;

/** Options of {@linkcode makeQueue}. */
export interface QueueOptions {
  readonly names: QueueNames;
  /** Of the process that leads it. */
  readonly session: string;
  /** The most bytes in the bucket. */
  readonly maxBytes: number;
  /** After how many seconds without a word from its worker a block is given to another; 30 by default. */
  readonly ackWaitSeconds?: number | undefined;
}

/** Makes the streams and the bucket of a queue: blocks that wait, what became of them, and what they need. */
export async function makeQueue(
  connection: NatsConnection,
  manager: JetStreamManager,
  { names, session, maxBytes, ackWaitSeconds = 30 }: QueueOptions,
): Promise<Objects> {
  const common = {
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    max_age: nanos(maxAgeSeconds * 1000),
    max_bytes: streamBytes,
    // A full stream refuses what comes, and forgets nothing that waits.
    discard: DiscardPolicy.New,
  };
  await manager.streams.add({ ...common, name: names.workStream, subjects: [names.work(session)] });
  await manager.streams.add({ ...common, name: names.doneStream, subjects: [names.done(session)] });
  await manager.consumers.add(names.workStream, {
    durable_name: names.workConsumer,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWaitSeconds * 1000),
    max_deliver: -1,
  });
  await manager.consumers.add(names.doneStream, {
    durable_name: names.doneConsumer,
    ack_policy: AckPolicy.Explicit,
    max_deliver: -1,
  });
  return await Objects.create(connection, names.bucket, { maxBytes, maxAgeSeconds });
}

/** What a run says whose queue isn't on the server any more. */
export function queueIsGone({ queue }: QueueNames): string {
  return `Cannot go on: somebody removed the queue ${queue} from the server, or another run took it; go on with federa resume`;
}

/**
 * Makes sure that no run leads a queue.
 *
 * @throws {WorkersError} when one does.
 */
export async function checkFree(connection: NatsConnection, { queue, lead }: QueueNames): Promise<void> {
  let isSilent = false;
  try {
    await connection.request(lead, undefined, { timeout: 5000 });
  } catch (error) {
    const isFree = [error, (error as Error).cause].some((each) => each instanceof NoRespondersError);
    if (isFree) return;
    isSilent = true;
  }
  throw new WorkersError(
    `Cannot lead the queue ${queue}: another run does${
      isSilent
        ? ", which doesn't answer: it is busy, or its machine went away less than five minutes ago"
        : ""
    }; wait for its end, or choose another --queue`,
  );
}

/** Removes what a run has on the server; nothing happens where it is gone. */
export async function removeQueue(manager: JetStreamManager, names: QueueNames): Promise<void> {
  for (const stream of [names.workStream, names.doneStream, `OBJ_${names.bucket}`]) {
    try {
      await manager.streams.delete(stream);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}
