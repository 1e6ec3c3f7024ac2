import { rehearseArrivals } from "../../../../fl/mod.ts";
import type { BlockParticipants } from "../../../../fl/simulation/block_participants.ts";
import { uploadShapes } from "../../../../fl/client/upload_shapes.ts";
import { type Client, personalNames } from "../../../../fl/method.ts";
import type { Lost, Outcome, Participants, RoundWork } from "../../../../fl/participants.ts";
import { pick, type Shapes, shapesOf } from "../../../../fl/tensors.ts";
import { keptBySending } from "../../../../fl/transport/send.ts";
import type { Coordinator } from "./coordinator.ts";
import { WorkersError, WrongResultError } from "../errors.ts";
import type { BlockResult, ObjectReference } from "../messages.ts";
import { decodeOutcomes, type ExpectedOutcome } from "../outcome_bytes.ts";
import { pause } from "../patience.ts";
import { encodeKept, encodeState } from "../state_bytes.ts";

/** Blocks that may be out at a time, at most. */
const maxWindow = 256;
/** Blocks that are on the way at a time: handed out, or fetched before their turn. */
const ahead = 4;
/** Seconds between looks at who is there. */
const tick = 0.5;

/** Options of {@linkcode WorkerParticipants}. */
export interface WorkerParticipantsOptions {
  readonly coordinator: Coordinator;
  /** The blocks of this process, whose size those of workers have. */
  readonly own: BlockParticipants;
  /** Puts all that workers need into the bucket, and what it is; called with each round, as what is there grows old. */
  readonly describe: (work: RoundWork) => Promise<ObjectReference>;
}

/**
 * Clients that workers on other machines train, block by block. What comes back waits on the server until its block's turn, so that this
 * process never holds more than a few, and what is aggregated has the order of client numbers.
 */
export class WorkerParticipants implements Participants {
  readonly #options: WorkerParticipantsOptions;

  constructor(options: WorkerParticipantsOptions) {
    this.#options = options;
  }

  /**
   * Has workers train the cohort.
   *
   * @throws {WorkersError} when no worker is there for too long, or every block of a round failed.
   * @throws {NatsError} when the server is away for too long.
   */
  async *train(work: RoundWork): AsyncGenerator<Outcome> {
    const { clients, model: { gpu }, onProgress } = work;
    const { own } = this.#options;
    if (gpu.isRehearsing) yield* rehearseArrivals(work, own);
    if (gpu.isRehearsing || clients.length === 0) return;
    const round = await BlocksOfRound.open(work, this.#options);
    const steps = round.blocks.map((members) => own.stepsOf({ ...work, clients: members }));
    const total = steps.reduce((sum, each) => sum + each, 0);
    let done = 0;
    let failed: Lost | undefined;
    let isAnyDone = false;
    try {
      for (const [block, members] of round.blocks.entries()) {
        const outcomes = await round.take(block, () => onProgress?.(done, total));
        isAnyDone ||= "outcomes" in outcomes;
        if ("reason" in outcomes) {
          for (const client of members) {
            failed = { client, phase: "training", reason: outcomes.reason };
            yield failed;
          }
        } else yield* outcomes.outcomes;
        done += steps[block]!;
        onProgress?.(done, total);
      }
      if (!isAnyDone) {
        throw new WorkersError(
          `Cannot go on after round ${work.round}, in which every block failed: ${failed!.reason}`,
        );
      }
    } finally {
      await round.close();
    }
  }
}

/** What became of a block: what its clients sent, or why it was given up. */
type Taken = { readonly outcomes: readonly Outcome[] } | { readonly reason: string };

/** A block that is out. */
interface BlockOut {
  /** How often it was handed out. */
  attempt: number;
  readonly kept: ObjectReference | undefined;
  result: BlockResult | undefined;
  /** The bytes of the result, once they are asked for. */
  bytes: Promise<Uint8Array> | undefined;
}

/** The blocks of one round, handed out in order and taken in order. */
class BlocksOfRound {
  readonly blocks: readonly (readonly Client[])[];
  readonly #work: RoundWork;
  readonly #coordinator: Coordinator;
  readonly #job: ObjectReference;
  readonly #state: ObjectReference;
  readonly #expected: Omit<ExpectedOutcome, "place" | "clients">;
  readonly #maxBytes: number;
  readonly #window: number;
  readonly #out = new Map<number, BlockOut>();
  #next = 0;
  #turn = 0;
  #wake: () => void = () => {};

  private constructor(
    work: RoundWork,
    { coordinator, own }: WorkerParticipantsOptions,
    more: {
      readonly job: ObjectReference;
      readonly state: ObjectReference;
      readonly expected: Omit<ExpectedOutcome, "place" | "clients">;
    },
  ) {
    this.#work = work;
    this.#coordinator = coordinator;
    this.#job = more.job;
    this.#state = more.state;
    this.#expected = more.expected;
    const { clients } = work;
    const size = own.blockSize;
    this.blocks = Array.from(
      { length: Math.ceil(clients.length / size) },
      (_, i) => clients.slice(i * size, (i + 1) * size),
    );
    const { values, keep } = more.expected;
    const names = values.size + keep.size;
    // Names and places of a client take room too.
    this.#maxBytes = size * (4 * (sizeOf(values) + sizeOf(keep)) + 512 * names + 8192) + 65_536;
    // Results wait in half of the bucket, what clients have kept in a part of the rest.
    this.#window = Math.max(1, Math.min(maxWindow, Math.floor(coordinator.maxBytes / 4 / this.#maxBytes)));
  }

  static async open(work: RoundWork, options: WorkerParticipantsOptions): Promise<BlocksOfRound> {
    const { coordinator, own: { codec }, describe } = options;
    const { model, plan, clients, state } = work;
    const job = await describe(work);
    const bytes = await encodeState(state);
    const stored = {
      sha256: await coordinator.persist(() => coordinator.objects.put(bytes)),
      size: bytes.length,
    };
    const values = await uploadShapes(model, plan, { client: clients[0]! });
    const personal = shapesOf(pick(new Map(model.namedParameters()), personalNames(plan)));
    const keep = new Map([...personal, ...plan.local?.keeps ?? [], ...keptBySending(codec, values)]);
    const expected = { values, keep, isFinite: codec.lossless };
    const round = new BlocksOfRound(work, options, { job, state: stored, expected });
    round.#turn = coordinator.listen((result) => round.#note(result));
    return round;
  }

  /** Waits for what became of a block. */
  async take(block: number, onWait: () => void): Promise<Taken> {
    const until = Math.min(this.blocks.length, block + this.#window);
    while (this.#next < until) {
      // A few at a time, for the way to the server may be long.
      const some = Array.from({ length: Math.min(ahead, until - this.#next) }, () => this.#next++);
      await Promise.all(some.map((each) => this.#handOut(each)));
    }
    const out = this.#out.get(block)!;
    let seen = performance.now();
    while (true) {
      const { result } = out;
      if (result === undefined) {
        await this.#wait();
        if (performance.now() - seen > tick * 1000) {
          seen = performance.now();
          this.#coordinator.check();
          onWait();
        }
        continue;
      }
      for (let next = block; next < block + ahead; next++) this.#fetch(next);
      const taken = await this.#read(block, result, out.bytes);
      if (taken !== undefined) {
        this.#out.delete(block);
        if (out.kept !== undefined) this.#coordinator.discard(out.kept);
        return taken;
      }
      // Another worker that had the block may have done it meanwhile.
      if (out.result === result) out.result = undefined;
      out.bytes = undefined;
      if (out.result === undefined) await this.#handOut(block, out);
    }
  }

  /** What a result holds; undefined when the block is to be tried again. */
  async #read(
    block: number,
    { worker, outcome, failed, isLast = false, seconds: trainSeconds = 0 }: BlockResult,
    fetched: Promise<Uint8Array> | undefined,
  ): Promise<Taken | undefined> {
    const clients = this.blocks[block]!;
    const isOften = isLast || this.#out.get(block)!.attempt >= this.#coordinator.attempts;
    const given = (reason: string) => isOften ? { reason: `its block was given up: ${reason}` } : undefined;
    if (outcome === undefined) return given(failed!);
    const started = performance.now();
    try {
      const { round, model: { gpu } } = this.#work;
      const bytes = await fetched!;
      const place = { job: this.#job.sha256, round, block };
      const outcomes = decodeOutcomes(gpu, bytes, { ...this.#expected, place, clients });
      this.#coordinator.discard(outcome);
      const readSeconds = (performance.now() - started) / 1000;
      this.#coordinator.note({
        round,
        worker,
        clients: clients.length,
        bytes: outcome.size,
        trainSeconds,
        readSeconds,
      });
      return { outcomes };
    } catch (error) {
      if (!(error instanceof WrongResultError) && (error as Error).name !== "NatsObjectError") throw error;
      const reason = `worker ${worker} sent a wrong result: ${(error as Error).message}`;
      this.#coordinator.ban(worker, reason);
      return given(reason);
    }
  }

  async #handOut(block: number, before?: BlockOut): Promise<void> {
    const { round, store } = this.#work;
    const clients = this.blocks[block]!;
    const out = before ??
      { attempt: 0, kept: await this.#share(clients, store), result: undefined, bytes: undefined };
    this.#out.set(block, out);
    await this.#coordinator.handOut({
      session: this.#coordinator.session,
      job: this.#job,
      round,
      turn: this.#turn,
      state: this.#state,
      block,
      attempt: out.attempt++,
      clients: [...clients],
      ...(out.kept && { kept: out.kept }),
    });
  }

  /** Puts what clients have kept into the bucket, where one has. */
  async #share(clients: readonly Client[], store: RoundWork["store"]): Promise<ObjectReference | undefined> {
    const kept = await Promise.all(clients.map(({ id }) => store.load(id)));
    if (kept.every((each) => each === undefined)) return undefined;
    return await this.#coordinator.share(encodeKept(kept, clients));
  }

  #note(result: BlockResult): boolean {
    const out = this.#out.get(result.block);
    if (out === undefined) return false;
    // The first success counts, where several workers had the block.
    if (out.result?.outcome === undefined) out.result = result;
    this.#wake();
    return out.result.outcome?.sha256 === result.outcome?.sha256;
  }

  async #wait(): Promise<void> {
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    await Promise.race([woken, pause(tick)]);
  }

  /** Begins to fetch the result of a block, if it is there. */
  #fetch(block: number): void {
    const out = this.#out.get(block);
    const outcome = out?.result?.outcome;
    if (outcome === undefined || out!.bytes !== undefined) return;
    const { objects } = this.#coordinator;
    out!.bytes = this.#coordinator.persist(() => objects.get(outcome.sha256, { maxBytes: this.#maxBytes }));
    // Whoever reads it hears of an error.
    out!.bytes.catch(() => {});
  }

  /** Nobody waits for the rest any more. */
  async close(): Promise<void> {
    this.#coordinator.unlisten();
    try {
      if (this.#out.size > 0) await this.#coordinator.cancel(this.#turn);
      this.#coordinator.discard(this.#state);
    } catch {
      // The server is away: what is there goes with the session, or by its age.
    }
  }
}

/** Numbers of tensors of some shapes. */
function sizeOf(shapes: Shapes): number {
  return [...shapes.values()].reduce(
    (sum, shape) => sum + shape.reduce((product, each) => product * each, 1),
    0,
  );
}
