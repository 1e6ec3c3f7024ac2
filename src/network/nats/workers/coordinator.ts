import {
  AckPolicy,
  type ConsumerMessages,
  DiscardPolicy,
  jetstream,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { nanos, type NatsConnection, NoRespondersError, nuid } from "@nats-io/nats-core";
import { connectNats, type NatsOptions } from "../connection.ts";
import { isMissing, Objects, sha256Of } from "../objects.ts";
import { asNatsError, NatsError } from "../errors.ts";
import { WorkersError } from "./errors.ts";
import {
  aliveSchema,
  type BlockOfWork,
  type BlockResult,
  controlSchema,
  decodeMessage,
  encodeMessage,
  helloSchema,
  type ObjectReference,
  resultSchema,
  type Welcome,
  type WorkerKind,
} from "./messages.ts";
import type { z } from "zod";
import { type QueueNames, queueNames } from "./names.ts";
import { persist } from "./patience.ts";

/** Options of {@linkcode Coordinator.open}. */
export interface CoordinatorOptions extends NatsOptions {
  /** The queue that workers take blocks from, of which each run needs its own; `default` by default. */
  readonly queue?: string | undefined;
  /** After how many seconds without a word from its worker a block is given to another; 30 by default. */
  readonly ackWaitSeconds?: number | undefined;
  /** How often a block is tried before its clients are lost; 5 by default. */
  readonly attempts?: number | undefined;
  /** How many seconds to wait for a worker while none is there; 600 by default. */
  readonly waitSeconds?: number | undefined;
  /** The most bytes that model, data, states and results may take on the server; 4 GiB by default. */
  readonly maxBytes?: number | undefined;
  /** What the bits of the run follow from: workers of another kind are refused. */
  readonly kind: WorkerKind;
  /** Receives a line about workers that come, go, or are refused. */
  readonly report?: ((line: string) => void) | undefined;
  /** Called with each block that is done, in the order of the blocks. */
  readonly onBlock?: ((done: BlockDone) => void) | undefined;
}

/** What a block took. */
export interface BlockDone {
  readonly round: number;
  readonly worker: string;
  readonly clients: number;
  /** Of what its clients sent and keep. */
  readonly bytes: number;
  /** Seconds that the worker trained. */
  readonly trainSeconds: number;
  /** Seconds that the run took to fetch and read it. */
  readonly readSeconds: number;
}

/** How long what a dead run left behind stays on the server. */
const maxAgeSeconds = 3 * 86_400;
/** Bytes of the messages that may wait in a stream. */
const streamBytes = 64 << 20;
/** After how many seconds without a sign a worker counts as gone. */
const goneSeconds = 15;
/** Seconds between looks whether the queue is there. */
const verifySeconds = 20;
/** How long to try again what the server didn't do. */
const serverSeconds = 120;

/** What a round gets to know of its blocks. */
export interface RoundListener {
  readonly turn: number;
  /** Called with what became of a block; returns whether what that refers to is of use. */
  onResult(result: BlockResult): boolean;
}

/**
 * The end of a queue of work that leads a run: it lets workers in, hands out blocks and hears what became of them. Streams and bucket are
 * made anew, so nothing of a dead run counts, and removed at the end.
 */
export class Coordinator {
  readonly names: QueueNames;
  readonly session: string;
  readonly objects: Objects;
  readonly attempts: number;
  readonly maxBytes: number;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #options: CoordinatorOptions;
  readonly #ackWaitSeconds: number;
  /** Workers that are there, and when each was last heard of. */
  readonly #workers = new Map<string, number>();
  /** Objects that are being removed. */
  readonly #discarded = new Map<string, Promise<void>>();
  /** Workers that were told to leave, and why. */
  readonly #banned = new Map<string, string>();
  readonly #refused = new Set<string>();
  #listener: RoundListener | undefined;
  #turns = 0;
  #messages: ConsumerMessages | undefined;
  /** Since when no worker has been there, and when that was last looked at. */
  #alone: number | undefined;
  #looked = performance.now();
  /** When the server was last asked whether the queue is there. */
  #verified = performance.now();
  #failure: Error | undefined;
  #isClosed = false;

  private constructor(
    options: CoordinatorOptions,
    more: {
      readonly names: QueueNames;
      readonly session: string;
      readonly connection: NatsConnection;
      readonly manager: JetStreamManager;
      readonly objects: Objects;
    },
  ) {
    this.names = more.names;
    this.session = more.session;
    this.objects = more.objects;
    this.attempts = options.attempts ?? 5;
    this.maxBytes = options.maxBytes ?? 2 ** 32;
    this.#options = options;
    this.#ackWaitSeconds = options.ackWaitSeconds ?? 30;
    this.#connection = more.connection;
    this.#manager = more.manager;
    this.#client = jetstream(more.connection);
  }

  /**
   * Takes the lead of a queue.
   *
   * @throws {WorkersError} when another run leads it.
   * @throws {NatsError} when the server can't be reached, has no JetStream, or refuses.
   */
  static async open(url: string, options: CoordinatorOptions): Promise<Coordinator> {
    const names = queueNames(options.queue ?? "default");
    const session = nuid.next();
    const { maxBytes = 2 ** 32 } = options;
    const onStatus = options.report;
    const connection = await connectNats(url, { ...options, name: `federa run ${names.queue}`, onStatus });
    try {
      await checkFree(connection, names);
      const manager = await jetstreamManager(connection);
      await removeAll(manager, names);
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
        ack_wait: nanos((options.ackWaitSeconds ?? 30) * 1000),
        max_deliver: -1,
      });
      await manager.consumers.add(names.doneStream, {
        durable_name: names.doneConsumer,
        ack_policy: AckPolicy.Explicit,
        max_deliver: -1,
      });
      const objects = await Objects.create(connection, names.bucket, { maxBytes, maxAgeSeconds });
      const opened = new Coordinator(options, { names, session, connection, manager, objects });
      await opened.#listen();
      return opened;
    } catch (error) {
      await connection.close();
      if (error instanceof NatsError || error instanceof WorkersError || !(error instanceof Error)) {
        throw error;
      }
      throw new NatsError(`Cannot lead the queue ${names.queue} at ${url}: ${error.message}`, {
        cause: error,
      });
    }
  }

  async #listen(): Promise<void> {
    const { hello, lead, alive, doneStream, doneConsumer } = this.names;
    this.#connection.subscribe(lead, { callback: (_, message) => void message.respond(this.session) });
    this.#connection.subscribe(hello, {
      callback: (_, message) => void message.respond(encodeMessage(this.#welcome(message.data))),
    });
    this.#connection.subscribe(alive, { callback: (_, message) => this.#hear(message.data) });
    void this.#connection.closed().then((error) => {
      if (!this.#isClosed) {
        this.#failure = error ?? new NatsError("Cannot go on: the connection to NATS was closed");
      }
    });
    const consumer = await this.#client.consumers.get(doneStream, doneConsumer);
    this.#messages = await consumer.consume({
      callback: (message) => {
        const result = decodeMessage(resultSchema, message.data);
        message.ack();
        if (result?.session !== this.session || this.#banned.has(result.worker)) return;
        this.#see(result.worker);
        const isWanted = result.turn === this.#listener?.turn && this.#listener.onResult(result);
        if (!isWanted && result.outcome !== undefined) {
          // A block that two workers had, or one of a round that is over.
          this.discard(result.outcome);
        }
      },
    });
    void this.#messages.closed().then(() => {
      if (!this.#isClosed) this.#failure ??= new NatsError(gone(this.names));
    });
    await this.#connection.flush();
  }

  /** What a worker that wants to take part is told. */
  #welcome(data: Uint8Array): Welcome | { readonly refused: string } {
    const hello = decodeMessage(helloSchema, data);
    const { federa, arithmetic, adapter } = this.#options.kind;
    if (hello === undefined) {
      return { refused: `it speaks another language: expected federa ${federa}` };
    }
    const { worker, kind } = hello;
    const refused = this.#banned.get(worker) ??
      (kind.federa !== federa
        ? `it has federa ${kind.federa}, the run has ${federa}`
        : kind.arithmetic !== arithmetic
        ? `it has arithmetic ${kind.arithmetic}, the run has ${arithmetic}`
        : kind.adapter !== adapter
        ? `its adapter is ${kind.adapter}, that of the run ${adapter}`
        : undefined);
    if (refused !== undefined) {
      if (!this.#refused.has(worker)) this.#report(`Worker ${worker} is refused: ${refused}`);
      this.#refused.add(worker);
      return { refused };
    }
    this.#see(worker);
    return { session: this.session, ackWaitSeconds: this.#ackWaitSeconds, attempts: this.attempts };
  }

  #hear(data: Uint8Array): void {
    const alive = decodeMessage(aliveSchema, data);
    if (alive?.session !== this.session || this.#banned.has(alive.worker)) return;
    if (alive.leaves) this.#forget(alive.worker, "left");
    else this.#see(alive.worker);
  }

  #see(worker: string): void {
    const isNew = !this.#workers.has(worker);
    this.#workers.set(worker, performance.now());
    if (isNew) this.#report(`Worker ${worker} is here (${this.#workers.size} in all)`);
  }

  #forget(worker: string, how: string): void {
    if (this.#workers.delete(worker)) this.#report(`Worker ${worker} ${how} (${this.#workers.size} in all)`);
  }

  #report(line: string): void {
    this.#options.report?.(line);
  }

  /** Notes a block that is done. */
  note(done: BlockDone): void {
    this.#options.onBlock?.(done);
  }

  /** Names of the workers that are there. */
  get workers(): string[] {
    return [...this.#workers.keys()];
  }

  /** Has a round hear of its blocks from now on, in place of the one before it. */
  listen(onResult: RoundListener["onResult"]): number {
    this.#listener = { turn: ++this.#turns, onResult };
    return this.#turns;
  }

  /** Has nobody hear of blocks. */
  unlisten(): void {
    this.#listener = undefined;
  }

  /** Hands out a block. */
  async handOut(block: BlockOfWork): Promise<void> {
    const { turn, block: place, attempt } = block;
    const msgID = `${this.session}-${turn}-${place}-${attempt}`;
    const action = `Cannot hand out a block in the queue ${this.names.queue}`;
    const subject = this.names.work(this.session);
    await this.persist(() =>
      asNatsError(
        action,
        () => this.#client.publish(subject, encodeMessage(block), { msgID, timeout: 10_000 }),
      )
    );
  }

  /** Puts bytes into the bucket. */
  async share(bytes: Uint8Array): Promise<ObjectReference> {
    const sha256 = await sha256Of(bytes);
    // Equal bytes of before may be about to go.
    await this.#discarded.get(sha256);
    await this.persist(() => this.objects.put(bytes));
    return { sha256, size: bytes.length };
  }

  /** Removes an object from the bucket, in the background; one that stays goes with the session. */
  discard({ sha256 }: ObjectReference): void {
    const removed = this.objects.remove(sha256).catch(() => {}).finally(() => this.#discarded.delete(sha256));
    this.#discarded.set(sha256, removed);
  }

  /** Does what may fail while the server is away. */
  async persist<T>(body: () => Promise<T>): Promise<T> {
    return await persist(body, {
      seconds: serverSeconds,
      isOver: () => this.#failure !== undefined || this.#isClosed,
    });
  }

  /** Tells workers that nobody waits for a turn, and takes back what none has taken. */
  async cancel(turn: number): Promise<void> {
    this.#tell({ kind: "cancel", session: this.session, turn });
    const action = `Cannot take back the blocks in the queue ${this.names.queue}`;
    await this.persist(() => asNatsError(action, () => this.#manager.streams.purge(this.names.workStream)));
  }

  /** Sends a worker away and hears it no more. */
  ban(worker: string, reason: string): void {
    this.#banned.set(worker, reason);
    this.#report(`Worker ${worker} is sent away: ${reason}`);
    this.#workers.delete(worker);
    this.#tell({ kind: "leave", session: this.session, worker, reason });
  }

  #tell(message: z.output<typeof controlSchema>): void {
    if (!this.#connection.isClosed()) this.#connection.publish(this.names.control, encodeMessage(message));
  }

  /**
   * Looks whether there is anybody to wait for.
   *
   * @throws {WorkersError} when there has been no worker for too long.
   * @throws {NatsError} when the connection was lost for good.
   */
  check(): void {
    if (this.#failure !== undefined) {
      throw this.#failure instanceof NatsError
        ? this.#failure
        : new NatsError(`Cannot go on: the connection to NATS is lost: ${this.#failure.message}`, {
          cause: this.#failure,
        });
    }
    const now = performance.now();
    const gap = now - this.#looked;
    this.#looked = now;
    if (gap > goneSeconds * 500) {
      // This process did something else, such as an evaluation, and heard nobody meanwhile.
      for (const worker of this.#workers.keys()) this.#workers.set(worker, now);
      if (this.#alone !== undefined) this.#alone += gap;
    }
    if (now - this.#verified > verifySeconds * 1000) {
      this.#verified = now;
      void this.#manager.streams.info(this.names.workStream).catch((error) => {
        if (isMissing(error) && !this.#isClosed) this.#failure ??= new NatsError(gone(this.names));
      });
    }
    for (const [worker, seen] of this.#workers) {
      if (now - seen > goneSeconds * 1000) this.#forget(worker, `hasn't been heard of for ${goneSeconds} s`);
    }
    if (this.#workers.size > 0) {
      this.#alone = undefined;
      return;
    }
    const { waitSeconds = 600 } = this.#options;
    if (this.#alone === undefined) {
      this.#alone = now;
      this.#report(
        `No worker is there; waiting up to ${waitSeconds} s for one: federa worker --nats URL${
          this.names.queue === "default" ? "" : ` --queue ${this.names.queue}`
        }`,
      );
    }
    if (now - this.#alone <= waitSeconds * 1000) return;
    throw new WorkersError(
      `Cannot go on: no worker has taken part in the queue ${this.names.queue} for ${waitSeconds} s; start one with ` +
        "federa worker, and go on with federa resume",
    );
  }

  /** Lets the workers go and removes all that the run has on the server. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#messages?.stop();
    if (this.#connection.isClosed()) return;
    this.#tell({ kind: "over", session: this.session });
    try {
      await this.#connection.flush();
      await removeAll(this.#manager, this.names);
    } catch (error) {
      this.#report(
        `The streams of the queue ${this.names.queue} stay on the server: ${
          error instanceof Error ? error.message : error
        }`,
      );
    }
    await this.#connection.close();
  }
}

function gone({ queue }: QueueNames): string {
  return `Cannot go on: somebody removed the queue ${queue} from the server, or another run took it; go on with federa resume`;
}

/** @throws {WorkersError} when a run leads a queue. */
async function checkFree(connection: NatsConnection, { queue, lead }: QueueNames): Promise<void> {
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
async function removeAll(manager: JetStreamManager, names: QueueNames): Promise<void> {
  for (const stream of [names.workStream, names.doneStream, `OBJ_${names.bucket}`]) {
    try {
      await manager.streams.delete(stream);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}
