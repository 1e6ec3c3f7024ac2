import { hostname } from "node:os";
import process from "node:process";
import { type Consumer, jetstream, type JetStreamClient, type JsMsg } from "@nats-io/jetstream";
import { type NatsConnection, NoRespondersError, nuid } from "@nats-io/nats-core";
import { DeviceLostError, disposeAll, type Gpu, OutOfMemoryError } from "../../../engine/mod.ts";
import { hostStore } from "../../../fl/client/client_store.ts";
import type { HostTensors } from "../../../fl/tensors.ts";
import { isLost, type Outcome, type RoundWork, tensorsOfOutcome } from "../../../fl/participants.ts";
import type { OpenedState } from "../../../fl/mod.ts";
import { planMemory } from "../../../fl/simulation/memory_plan.ts";
import { connectNats, type NatsOptions } from "../connection.ts";
import { asNatsError, NatsError } from "../errors.ts";
import { Objects } from "../objects.ts";
import { kindOf } from "./describe_job_node.ts";
import { WorkerRefusedError, WorkersError } from "./errors.ts";
import {
  type BlockOfWork,
  blockSchema,
  controlSchema,
  decodeMessage,
  encodeMessage,
  type Welcome,
  welcomeSchema,
} from "./messages.ts";
import { type QueueNames, queueNames } from "./names.ts";
import { JobOpener, type JobOpenerOptions, type OpenJob } from "./open_job_node.ts";
import { encodeOutcomes } from "./outcome_bytes.ts";
import { pause, persist } from "./patience.ts";
import { decodeKept, decodeState } from "./state_bytes.ts";

/** Options of {@linkcode work}. */
export interface WorkerOptions extends NatsOptions, Pick<JobOpenerOptions, "cache"> {
  /** The queue that blocks are taken from; `default` by default. */
  readonly queue?: string | undefined;
  /** What the run calls this worker; the machine's name with a random part by default. */
  readonly worker?: string | undefined;
  /** Ends after the first run that it took part in. */
  readonly once?: boolean | undefined;
  /** How many seconds to wait for a run; 3600 by default. */
  readonly waitSeconds?: number | undefined;
  /** After how many seconds without progress a block is given back; 600 by default. */
  readonly stallSeconds?: number | undefined;
  /** The most bytes of GPU buffers to hold. */
  readonly maxGpuBytes?: number | undefined;
  /** Ends the worker, which gives back the block that it has. */
  readonly signal?: AbortSignal | undefined;
  /** Receives a line about runs that begin and end. */
  readonly report?: ((line: string) => void) | undefined;
  /** Called after each block. */
  readonly onBlock?:
    | ((done: { readonly round: number; readonly clients: number; readonly seconds: number }) => void)
    | undefined;
}

/** Seconds between looks for a run, and between signs of life. */
const lookSeconds = 1;
const aliveSeconds = 3;
/** How long one request for a block waits. */
const pullSeconds = 5;
/** How long to try again what the server didn't do. */
const serverSeconds = 60;
/** The most bytes of a state or of what clients keep. */
const maxBytes = 2 ** 36;

/**
 * Works on blocks of clients of the runs that lead a queue, one after another, until it is ended. A worker sees all data of its blocks: it
 * is for simulation on one's own machines.
 *
 * @throws {WorkerRefusedError} when a run doesn't take it, or sends it away.
 * @throws {WorkersError} when no run comes in time.
 * @throws {NatsError} when the server can't be reached, or is away for too long.
 * @throws {DeviceLostError} when its device is lost; its block is given to another.
 */
export async function work(gpu: Gpu, url: string, options: WorkerOptions = {}): Promise<void> {
  const { queue = "default", signal, report = () => {}, maxGpuBytes } = options;
  const names = queueNames(queue);
  const worker = options.worker ?? `${hostname().slice(0, 40)}-${process.pid}-${nuid.next().slice(-4)}`;
  const connection = await connectNats(url, {
    ...options,
    name: `federa worker ${worker}`,
    inboxPrefix: names.workerInbox,
    onStatus: report,
  });
  const heart = new Heart();
  const opener = new JobOpener(gpu, {
    ...(options.cache !== undefined && { cache: options.cache }),
    report,
    onProgress: () => heart.beat(),
  });
  const shared = { gpu, connection, names, worker, opener, heart, report, maxGpuBytes, options };
  try {
    report(`Worker ${worker} waits for a run in the queue ${queue}`);
    while (true) {
      const welcome = await findRun(shared);
      report("A run takes this worker");
      const isOver = await new Session(shared, welcome).serve();
      report(
        isOver ? "The run is over" : "Nobody leads the run any more; waiting for it to go on, or for another",
      );
      if (isOver && options.once || signal?.aborted) break;
    }
  } finally {
    opener[Symbol.dispose]();
    await connection.close();
  }
  signal?.throwIfAborted();
}

interface Shared {
  readonly gpu: Gpu;
  readonly connection: NatsConnection;
  readonly names: QueueNames;
  readonly worker: string;
  readonly opener: JobOpener;
  readonly heart: Heart;
  readonly report: (line: string) => void;
  readonly maxGpuBytes: number | undefined;
  readonly options: WorkerOptions;
}

/** Asks for a run until one takes this worker. */
async function findRun(shared: Shared): Promise<Welcome> {
  const { names, options: { waitSeconds = 3600, signal } } = shared;
  const limit = performance.now() + waitSeconds * 1000;
  while (true) {
    signal?.throwIfAborted();
    const welcome = await greet(shared);
    if (welcome !== undefined) return welcome;
    if (performance.now() > limit) {
      throw new WorkersError(`Cannot work: no run has led the queue ${names.queue} for ${waitSeconds} s`);
    }
    await pause(lookSeconds);
  }
}

/** Asks once; undefined where nobody leads the queue or answers. */
async function greet({ gpu, connection, names, worker }: Shared): Promise<Welcome | undefined> {
  if (connection.isClosed()) {
    const error = await connection.closed();
    throw new NatsError(`Cannot work: the connection to NATS is lost${error ? `: ${error.message}` : ""}`);
  }
  let answer;
  try {
    answer = await connection.request(names.hello, encodeMessage({ worker, kind: kindOf(gpu) }), {
      timeout: 5000,
    });
  } catch {
    // Nobody leads the queue, or the server is away for a moment.
    return undefined;
  }
  const welcome = decodeMessage(welcomeSchema, answer.data);
  if (welcome === undefined) {
    throw new WorkerRefusedError("Cannot work: the run speaks another language; use the same version");
  }
  if ("refused" in welcome) {
    throw new WorkerRefusedError(`Cannot work: the run refuses this worker: ${welcome.refused}`);
  }
  return welcome;
}

/** When something last went on. */
class Heart {
  #last = performance.now();

  /** Notes that something goes on. */
  beat(): void {
    this.#last = performance.now();
  }

  /** Seconds since something went on. */
  get silence(): number {
    return (performance.now() - this.#last) / 1000;
  }
}

/** A block that nobody waits for any more. */
class Abandoned extends Error {}

/** What a worker does for one process that leads runs. */
class Session {
  readonly #shared: Shared;
  readonly #welcome: Welcome;
  readonly #client: JetStreamClient;
  readonly #maxHeldBytes: number;
  readonly #ended: Promise<void>;
  #end: () => void = () => {};
  #consumer: Consumer | undefined;
  #isOver = false;
  #leave: string | undefined;
  /** The last turn that was cancelled. */
  #cancelled = -1;
  #job: { readonly sha256: string; readonly open: OpenJob } | undefined;
  #state: { readonly sha256: string; readonly opened: OpenedState } | undefined;
  /** The largest blocks that were planned for: clients, rows of a step. */
  #planned: readonly number[] | undefined;

  constructor(shared: Shared, welcome: Welcome) {
    this.#shared = shared;
    this.#welcome = welcome;
    this.#client = jetstream(shared.connection);
    this.#maxHeldBytes = shared.gpu.maxHeldBytes;
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
      await Promise.race([pause(lookSeconds), this.#ended]);
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
      const outcomes = await this.#train(block, objects);
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

  async #train(block: BlockOfWork, objects: Objects): Promise<Outcome[]> {
    const { heart } = this.#shared;
    const { round, turn, clients, kept } = block;
    const { side, memory } = await this.#openJob(block, objects);
    const { state, global } = await this.#openState(block, objects, side);
    const stored = kept && decodeKept(await this.#get(objects, kept.sha256), clients.length);
    const known = clients.flatMap(({ id }, i): [number, HostTensors][] =>
      stored?.[i] ? [[id, stored[i]]] : []
    );
    const work: RoundWork = {
      round,
      plan: side.method.plan(state, round),
      clients: clients.map(({ labelDivergence, ...client }) => ({
        ...client,
        ...(labelDivergence !== undefined && { labelDivergence }),
      })),
      model: global,
      state,
      store: hostStore(new Map(known)),
      onProgress: () => {
        heart.beat();
        if (this.#isEnding || this.#cancelled >= turn) {
          throw new Abandoned("Cannot go on: nobody waits for this block");
        }
      },
    };
    await this.#plan(work, { side, memory });
    const outcomes: Outcome[] = [];
    try {
      for await (const outcome of side.participants.train(work)) outcomes.push(outcome);
    } catch (error) {
      disposeAll(outcomes.flatMap((each) => isLost(each) ? [] : tensorsOfOutcome(each)));
      throw error;
    }
    return outcomes;
  }

  /** Finds out how many of a block's clients fit into memory at once, where it is larger than those before. */
  async #plan(work: RoundWork, { side, memory }: Pick<OpenJob, "side" | "memory">): Promise<void> {
    const { gpu, maxGpuBytes } = this.#shared;
    const { participants } = side;
    const size = participants.sizeOf(work);
    if (this.#planned !== undefined && size.every((each, i) => each <= this.#planned![i]!)) return;
    const prepared = {
      gpu,
      largestCohort: work.clients.length,
      rehearse: () =>
        gpu.rehearse(async () => {
          for await (const outcome of participants.train({ ...work, onProgress: undefined })) {
            if (!isLost(outcome)) disposeAll(tensorsOfOutcome(outcome));
          }
        }),
    };
    const options = { ...memory, ...(maxGpuBytes !== undefined && { maxGpuBytes }) };
    const { budgetBytes } = await planMemory(prepared, participants, options).catch((error) => {
      if (!(error instanceof OutOfMemoryError)) throw error;
      return planMemory(prepared, participants, { ...options, blockSize: "auto" });
    });
    gpu.maxHeldBytes = Math.min(this.#maxHeldBytes, budgetBytes ?? Infinity);
    this.#planned = size.map((each, i) => Math.max(each, this.#planned?.[i] ?? 0));
  }

  async #openJob({ job }: BlockOfWork, objects: Objects): Promise<OpenJob> {
    if (this.#job?.sha256 !== job.sha256) {
      this.#close();
      const { opener } = this.#shared;
      this.#job = { sha256: job.sha256, open: await opener.open(objects, job) };
      this.#planned = undefined;
    }
    return this.#job.open;
  }

  async #openState({ state }: BlockOfWork, objects: Objects, side: OpenJob["side"]): Promise<OpenedState> {
    if (this.#state?.sha256 !== state.sha256) {
      this.#state?.opened[Symbol.dispose]();
      this.#state = undefined;
      const bytes = await this.#get(objects, state.sha256);
      this.#state = { sha256: state.sha256, opened: side.read(decodeState(bytes)) };
    }
    return this.#state.opened;
  }

  async #get(objects: Objects, sha256: string): Promise<Uint8Array> {
    const { heart } = this.#shared;
    return await this.#persist(() => objects.get(sha256, { maxBytes, onProgress: () => heart.beat() }));
  }

  #close(): void {
    this.#state?.opened[Symbol.dispose]();
    this.#state = undefined;
    this.#job?.open[Symbol.dispose]();
    this.#job = undefined;
    this.#shared.gpu.maxHeldBytes = this.#maxHeldBytes;
  }
}
