import { type Consumer, jetstream, type JetStreamClient, type JsMsg } from "@nats-io/jetstream";
import { NoRespondersError } from "@nats-io/nats-core";
import { DeviceLostError } from "../../../../engine/mod.ts";
import { asNatsError } from "../../errors.ts";
import { Objects } from "../../objects.ts";
import { Abandoned, BlockTrainer } from "./block_trainer_node.ts";
import { kindOf } from "../bits_node.ts";
import { WorkerRefusedError } from "../errors.ts";
import { greet, type Seeker } from "./find_run_node.ts";
import type { Heart } from "./heart.ts";
import {
  blockSchema,
  controlSchema,
  decodeMessage,
  encodeMessage,
  type Welcome,
  welcomeSchema,
} from "../messages.ts";
import type { JobOpener } from "./open_job_node.ts";
import { encodeOutcomes } from "../outcome_bytes.ts";
import { pause, persist } from "../patience.ts";
import type { WorkerOptions } from "./worker_node.ts";

/** Seconds between signs of life, and before a server that is away is asked again. */
const aliveSeconds = 3;
const againSeconds = 1;
/** How long one request for a block waits. */
const pullSeconds = 5;
/** How long to try again what the server didn't do. */
const serverSeconds = 60;
/** The most bytes of a state or of what clients keep. */
const maxBytes = 2 ** 36;

/** A worker in a run. */
export interface SessionOptions extends Seeker {
  readonly opener: JobOpener;
  readonly heart: Heart;
  readonly report: (line: string) => void;
  readonly maxGpuBytes: number | undefined;
  readonly options: WorkerOptions;
}

/** What a worker does for one process that leads runs. */
export class Session {
  readonly #shared: SessionOptions;
  readonly #welcome: Welcome;
  readonly #client: JetStreamClient;
  readonly #ended: Promise<void>;
  #end: () => void = () => {};
  #consumer: Consumer | undefined;
  #isOver = false;
  #leave: string | undefined;
  /** The last turn that was cancelled. */
  #cancelled = -1;
  #trainer: BlockTrainer | undefined;

  constructor(shared: SessionOptions, welcome: Welcome) {
    this.#shared = shared;
    this.#welcome = welcome;
    this.#client = jetstream(shared.connection);
    this.#ended = new Promise((resolve) => this.#end = resolve);
  }

  get #isEnding(): boolean {
    return this.#isOver || this.#leave !== undefined || this.#shared.options.signal?.aborted === true ||
      this.#shared.connection.isClosed();
  }

  /**
   * Works until the run is over, or nobody leads it.
   *
   * @returns whether the run said that it is over.
   */
  async serve(): Promise<boolean> {
    const { connection, names, worker, options: { signal } } = this.#shared;
    const { session } = this.#welcome;
    const control = connection.subscribe(names.control, {
      callback: (_, message) => this.#hear(message.data),
    });
    const alive = (leaves: boolean) => {
      if (!connection.isClosed()) {
        connection.publish(names.alive, encodeMessage({ worker, session, ...(leaves && { leaves }) }));
      }
    };
    const timer = setInterval(() => alive(false), aliveSeconds * 1000);
    alive(false);
    signal?.addEventListener("abort", this.#end);
    const objects = await Objects.open(connection, names.bucket);
    const { heart } = this.#shared;
    this.#trainer = new BlockTrainer({
      ...this.#shared,
      objects,
      get: (sha256) => this.#persist(() => objects.get(sha256, { maxBytes, onProgress: () => heart.beat() })),
    });
    try {
      while (!this.#isEnding) {
        const message = await this.#pull();
        if (message !== undefined) await this.#do(message, objects);
        else if (!await this.#isLed()) break;
      }
    } finally {
      clearInterval(timer);
      signal?.removeEventListener("abort", this.#end);
      control.unsubscribe();
      alive(true);
      this.#close();
      if (!connection.isClosed()) await connection.flush().catch(() => {});
    }
    if (this.#leave !== undefined) {
      throw new WorkerRefusedError(`Cannot work: the run sent this worker away: ${this.#leave}`);
    }
    if (connection.isClosed()) await greet(this.#shared);
    return this.#isOver;
  }

  #hear(data: Uint8Array): void {
    const told = decodeMessage(controlSchema, data);
    if (told?.session !== this.#welcome.session) return;
    if (told.kind === "over") this.#isOver = true;
    else if (told.kind === "cancel") this.#cancelled = told.turn;
    else if (told.worker === this.#shared.worker) this.#leave = told.reason;
    if (this.#isEnding) this.#end();
  }

  /** The next block; undefined when none came in a while. */
  async #pull(): Promise<JsMsg | undefined> {
    const { names } = this.#shared;
    try {
      this.#consumer ??= await this.#client.consumers.get(names.workStream, names.workConsumer);
      const next = this.#consumer.next({ expires: pullSeconds * 1000 });
      // A block that comes too late is given to another when nobody says a word about it.
      next.catch(() => {});
      return await Promise.race([next, this.#ended]) ?? undefined;
    } catch {
      // The run is over and its streams are gone, or the server is away for a moment.
      this.#consumer = undefined;
      await Promise.race([pause(againSeconds), this.#ended]);
      return undefined;
    }
  }

  /** Whether the same run still leads; one that doesn't answer may be busy. */
  async #isLed(): Promise<boolean> {
    const { connection, names, worker, gpu } = this.#shared;
    if (this.#isEnding) return false;
    try {
      const hello = encodeMessage({ worker, kind: kindOf(gpu) });
      const answer = await connection.request(names.hello, hello, { timeout: 5000 });
      const welcome = decodeMessage(welcomeSchema, answer.data);
      return welcome !== undefined && "session" in welcome && welcome.session === this.#welcome.session;
    } catch (error) {
      return !(error instanceof NoRespondersError || (error as Error).cause instanceof NoRespondersError);
    }
  }

  /** Trains a block and says what came of it. */
  async #do(message: JsMsg, objects: Objects): Promise<void> {
    const { heart, worker, report } = this.#shared;
    const block = decodeMessage(blockSchema, message.data);
    if (block?.session !== this.#welcome.session) return message.term();
    const { round, turn, job } = block;
    const place = { session: block.session, turn, block: block.block, worker };
    if (message.info.deliveryCount > this.#welcome.attempts) {
      const before = message.info.deliveryCount - 1;
      const failed = before === 1
        ? "the worker that had it went silent"
        : `the ${before} workers that had it went silent`;
      await this.#tell({ ...place, failed, isLast: true });
      return message.ack();
    }
    heart.beat();
    const { stallSeconds = 600 } = this.#shared.options;
    const beat = setInterval(() => {
      if (heart.silence < stallSeconds) message.working();
    }, this.#welcome.ackWaitSeconds * 1000 / 3);
    try {
      const started = performance.now();
      const outcomes = await this.#trainer!.train(block, () => this.#isEnding || this.#cancelled >= turn);
      const bytes = await encodeOutcomes(outcomes, { job: job.sha256, round, block: block.block });
      const seconds = (performance.now() - started) / 1000;
      heart.beat();
      const outcome = {
        sha256: await this.#persist(() => objects.put(bytes)),
        size: bytes.length,
      };
      await this.#tell({ ...place, outcome, seconds });
      message.ack();
      this.#shared.options.onBlock?.({ round, clients: block.clients.length, seconds });
    } catch (error) {
      if (error instanceof Abandoned || this.#isEnding || this.#cancelled >= turn) return message.nak();
      if (!(error instanceof Error)) throw error;
      report(`A block of round ${round} failed: ${error.message}`);
      if (error instanceof DeviceLostError || error instanceof WorkerRefusedError) {
        message.nak();
        throw error;
      }
      await this.#tell({ ...place, failed: error.message.slice(0, 2000) });
      message.ack();
    } finally {
      clearInterval(beat);
    }
  }

  async #tell(result: object): Promise<void> {
    const subject = this.#shared.names.done(this.#welcome.session);
    try {
      await this.#persist(() =>
        asNatsError(
          "Cannot say what came of a block",
          () => this.#client.publish(subject, encodeMessage(result), { timeout: 10_000 }),
        )
      );
    } catch (error) {
      // A run that is over hears nothing.
      if (await this.#isLed()) throw error;
    }
  }

  async #persist<T>(body: () => Promise<T>): Promise<T> {
    return await persist(body, { seconds: serverSeconds, isOver: () => this.#isEnding });
  }

  #close(): void {
    this.#trainer?.[Symbol.dispose]();
    this.#trainer = undefined;
  }
}
