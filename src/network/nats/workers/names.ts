import { z } from "zod";
import { NatsError } from "../errors.ts";

/** The name of a queue of work: one word of a subject, so that a server's permissions can name it. */
const queueSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);

/** The subjects, streams and bucket of one queue of work. */
export interface QueueNames {
  readonly queue: string;
  /** Where workers ask whose run it is, and whether they may take part. */
  readonly hello: string;
  /** Where a run says that the queue is taken. */
  readonly lead: string;
  /** Where workers say that they are there. */
  readonly alive: string;
  /** What a run tells all workers. */
  readonly control: string;
  /** Streams of work and of what came of it, and the consumers that read them. */
  readonly workStream: string;
  readonly doneStream: string;
  readonly workConsumer: string;
  readonly doneConsumer: string;
  readonly bucket: string;
  /** Where a worker is answered. */
  readonly workerInbox: string;
  /** Where blocks of one session go, which is one process that leads a run: what a dead one left behind has other subjects. */
  work(session: string): string;
  /** Where what became of them goes. */
  done(session: string): string;
}

/**
 * The names of a queue.
 *
 * @throws {NatsError} when its name can't be one.
 */
export function queueNames(queue: string): QueueNames {
  if (!queueSchema.safeParse(queue).success) {
    throw new NatsError(
      `Cannot use the queue ${
        JSON.stringify(queue)
      }: expected 1 to 64 letters, digits, - and _, the first a letter or digit`,
    );
  }
  const root = `federa.workers.${queue}`;
  return {
    queue,
    hello: `${root}.hello`,
    lead: `${root}.lead`,
    alive: `${root}.alive`,
    control: `${root}.control`,
    workStream: `FEDERA_WORK_${queue}`,
    doneStream: `FEDERA_DONE_${queue}`,
    workConsumer: "workers",
    doneConsumer: "coordinator",
    bucket: `federa-${queue}`,
    workerInbox: `${root}.inbox`,
    work: (session) => `${root}.session.${session}.work`,
    done: (session) => `${root}.session.${session}.done`,
  };
}

/** What a worker's user must be permitted on the server, as its configuration has it. */
export function workerPermissions(queue: string): {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
} {
  const { hello, alive, control, workStream, workConsumer, bucket, workerInbox, done } = queueNames(queue);
  const objects = `OBJ_${bucket}`;
  return {
    publish: [
      hello,
      alive,
      done("*"),
      `$JS.API.CONSUMER.INFO.${workStream}.${workConsumer}`,
      `$JS.API.CONSUMER.MSG.NEXT.${workStream}.${workConsumer}`,
      `$JS.ACK.${workStream}.${workConsumer}.>`,
      // The object store reads and writes by these.
      `$JS.API.STREAM.MSG.GET.${objects}`,
      `$JS.API.STREAM.PURGE.${objects}`,
      `$JS.API.CONSUMER.CREATE.${objects}.>`,
      `$JS.API.CONSUMER.DELETE.${objects}.>`,
      `$JS.FC.${objects}.>`,
      `$O.${bucket}.>`,
    ],
    subscribe: [control, `${workerInbox}.>`],
  };
}
