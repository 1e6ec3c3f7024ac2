import {
  type ConsumerMessages,
  jetstream,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, nuid } from "@nats-io/nats-core";
import { connectNats, type NatsOptions } from "../../connection.ts";
import { isMissing, Objects, sha256Of } from "../../objects.ts";
import { asNatsError, NatsError } from "../../errors.ts";
import { Crew } from "./crew.ts";
import { WorkersError } from "../errors.ts";
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
} from "../messages.ts";
import type { z } from "zod";
import { type QueueNames, queueNames } from "../names.ts";
import { checkFree, makeQueue, queueIsGone, removeQueue } from "./queue.ts";
import { persist } from "../patience.ts";

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
  readonly #crew: Crew;
  /** Objects that are being removed. */
  readonly #discarded = new Map<string, Promise<void>>();
  #listener: RoundListener | undefined;
  #turns = 0;
  #messages: ConsumerMessages | undefined;
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
    this.#crew = new Crew({ ...options, queue: more.names.queue });
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
      await removeQueue(manager, names);
      const objects = await makeQueue(connection, manager, {
        names,
        session,
        maxBytes,
        ackWaitSeconds: options.ackWaitSeconds,
      });
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
        if (result?.session !== this.session || !this.#crew.see(result.worker)) return;
        const isWanted = result.turn === this.#listener?.turn && this.#listener.onResult(result);
        if (!isWanted && result.outcome !== undefined) {
          // A block that two workers had, or one of a round that is over.
          this.discard(result.outcome);
        }
      },
    });
    void this.#messages.closed().then(() => {
      if (!this.#isClosed) this.#failure ??= new NatsError(queueIsGone(this.names));
    });
    await this.#connection.flush();
  }

  /** What a worker that wants to take part is told. */
  #welcome(data: Uint8Array): Welcome | { readonly refused: string } {
    const refused = this.#crew.admit(decodeMessage(helloSchema, data));
    if (refused !== undefined) return { refused };
    return { session: this.session, ackWaitSeconds: this.#ackWaitSeconds, attempts: this.attempts };
  }

  #hear(data: Uint8Array): void {
    const alive = decodeMessage(aliveSchema, data);
    if (alive?.session !== this.session) return;
    if (alive.leaves) this.#crew.leave(alive.worker);
    else this.#crew.see(alive.worker);
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
    return this.#crew.workers;
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
    this.#crew.ban(worker, reason);
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
    if (now - this.#verified > verifySeconds * 1000) {
      this.#verified = now;
      void this.#manager.streams.info(this.names.workStream).catch((error) => {
        if (isMissing(error) && !this.#isClosed) this.#failure ??= new NatsError(queueIsGone(this.names));
      });
    }
    this.#crew.check();
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
      await removeQueue(this.#manager, this.names);
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
