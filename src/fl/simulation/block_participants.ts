import { type Gpu, zeros } from "../../engine/mod.ts";
import {
  countTokens,
  type LocalTrainingOptions,
  type LocalWork,
  packBatches,
  planBatches,
  rowsOf,
  type TaskSet,
} from "../../tasks/mod.ts";
import { downloadShapes } from "../client/download.ts";
import { sendTrained } from "../client/send_trained.ts";
import { type LocalResult, trainLocally } from "../client/train_locally.ts";
import type { Attack } from "../attacks/mod.ts";
import type { Client } from "../method.ts";
import {
  type Finished,
  type Outcome,
  type Participants,
  type RoundWork,
  withoutMembers,
} from "../participants.ts";
import type { Stage } from "../privacy/stage.ts";
import type { Shapes } from "../tensors.ts";
import type { Codec } from "../transport/codec.ts";
import { f32Codec } from "../transport/float_codec.ts";
import { garbled, HostileBlocks } from "./hostile_blocks.ts";
import { largestSteps, type StepPlan } from "./largest_steps.ts";

/** Options of {@linkcode BlockParticipants}. */
export interface BlockParticipantsOptions extends Omit<LocalTrainingOptions, "learningRate" | "onProgress"> {
  readonly train: TaskSet;
  /** The examples of each client. */
  readonly clients: readonly (readonly number[])[];
  readonly work: LocalWork;
  readonly batchSize: number;
  /** Learning rate of a round, by its index from 0. */
  readonly learningRate: (round: number) => number;
  readonly seed: number;
  readonly stages: readonly Stage[];
  /** How uploads are put into bytes; downloads are sent in f32. */
  readonly codec: Codec;
  /** Whether clients and server are one party, so that nothing is sent. */
  readonly isCentral?: boolean | undefined;
  /** Clients that are hostile, and what they do. */
  readonly hostile?: Hostile | undefined;
  /** The cohorts of the rounds from one on, for a rehearsal; by default that round's alone. */
  readonly cohortsFrom?: ((round: number) => Iterable<Cohort>) | undefined;
}

/** Clients that are hostile. */
export interface Hostile {
  readonly clients: ReadonlySet<number>;
  readonly attack: Attack;
  /** What they train on. */
  readonly train: TaskSet;
}

/** Numbers of the clients that a round asks. */
export interface Cohort {
  readonly round: number;
  readonly clients: readonly number[];
}

/** Clients simulated in this process, a block of them at a time in one stream of kernels. */
export class BlockParticipants implements Participants {
  /** Clients that train together. */
  blockSize = 1;
  /** Whether layers run again in the backward pass instead of keeping their activations. */
  checkpointing: boolean | undefined;
  readonly #options: BlockParticipantsOptions;
  /** Rows of tokens of each client. */
  readonly #rows: readonly (readonly number[])[];

  constructor(options: BlockParticipantsOptions) {
    this.#options = options;
    this.checkpointing = options.checkpointing;
    this.#rows = options.clients.map((examples) => rowsOf(options.train, examples));
  }

  /**
   * Trains the cohort, block by block in the order of client numbers; hostile clients come first, in blocks of their own, and send
   * together. A rehearsal trains those that may take the most memory.
   */
  async *train(work: RoundWork): AsyncGenerator<Outcome> {
    const { clients, model: { gpu }, round, onProgress } = work;
    const chunks = this.#chunks(clients, ({ id }) => id);
    const rehearsed = gpu.isRehearsing ? this.#largest(work, chunks.length) : undefined;
    const blocks = chunks.map((members, i): Block => {
      const isHostile = this.#isHostile(members[0]!.id);
      const plans = this.#plans(members.map(({ id }) => id), round);
      // What hostile clients have trained is held until all of them are done.
      const rest = (member: number) => isHostile ? plans[member]!.slice(0, 1) : [];
      return {
        members,
        isHostile,
        // A round to come may have lost some of these.
        plans: rehearsed ? members.map((_, member) => rehearsed.get(i)?.[member] ?? rest(member)) : plans,
      };
    });
    const steps = blocks.map(({ plans }) => stepsOf(plans));
    const total = steps.reduce((sum, count) => sum + count, 0);
    let done = 0;
    let shapes: Shapes | undefined;
    const hostile = new HostileBlocks<Block>();
    try {
      for (const [i, block] of blocks.entries()) {
        if (rehearsed !== undefined && !rehearsed.has(i) && !block.isHostile && shapes !== undefined) {
          yield { ...untrained(gpu, block.members, shapes), isFinite: this.#options.codec.lossless };
          continue;
        }
        const local = await this.#trainBlock(block, work, (steps) => onProgress?.(done + steps, total));
        done += steps[i]!;
        shapes = new Map([...local.upload].map(([name, { shape }]) => [name, shape]));
        if (!block.isHostile) yield* this.#send(block, local, work);
        else {
          hostile.add(block, local);
          if (!blocks[i + 1]?.isHostile) {
            const context = { round, seed: this.#options.seed, cohort: clients.length };
            for (const { block, local } of hostile.attack(this.#options.hostile!.attack, context)) {
              yield* this.#send(block, local, work);
            }
          }
        }
      }
    } finally {
      hostile.dispose();
    }
  }

  /** How uploads are put into bytes. */
  get codec(): Codec {
    return this.#options.codec;
  }

  /** The local steps of a block: those of the client that has the most. */
  stepsOf({ clients, round }: Pick<RoundWork, "clients" | "round">): number {
    return stepsOf(this.#plans(clients.map(({ id }) => id), round));
  }

  /** Measures of what memory a block takes: its clients, and the tokens of its largest step at most. */
  sizeOf(
    { clients, round }: Pick<RoundWork, "clients" | "round">,
  ): readonly [clients: number, tokens: number] {
    const { train } = this.#options;
    const plans = this.#plans(clients.map(({ id }) => id), round);
    const largest = plans.map((plan) =>
      plan.reduce((most, batch) => {
        const tokens = batch.reduce((sum, row) => sum + (countTokens(train, row) ?? 1), 0);
        return Math.max(most, tokens);
      }, 0)
    );
    return [clients.length, largest.reduce((sum, each) => sum + each, 0)];
  }

  async #trainBlock(
    { members: clients, plans, isHostile }: Block,
    { round, plan, model, store }: RoundWork,
    onProgress: (steps: number) => void,
  ): Promise<LocalResult> {
    const { train, hostile, batchSize, learningRate } = this.#options;
    return await trainLocally(model, plan, {
      ...this.#options,
      checkpointing: this.checkpointing,
      round,
      clients,
      kept: await Promise.all(clients.map(({ id }) => store.load(id))),
      batches: packBatches(isHostile ? hostile!.train : train, plans, batchSize),
      learningRate: learningRate(round - 1),
      onProgress,
    });
  }

  /** What becomes of a block that has trained. */
  *#send(
    { members: clients, isHostile }: Block,
    local: LocalResult,
    { round, plan, model }: RoundWork,
  ): Generator<Outcome> {
    const { isCentral = false, codec, seed, hostile } = this.#options;
    const nothing = clients.map(() => 0);
    const { diverged, ...sent } = sendTrained(local, { codec, seed, round, clients, plan });
    const { attack } = hostile ?? {};
    const finished: Finished = {
      clients,
      ...sent,
      ...(isCentral && { bytesUp: nothing }),
      bytesDown: isCentral ? nothing : clients.map((client) => bytesOf(downloadShapes(model, plan, client))),
      // Rounding may make a large value infinite.
      isFinite: codec.lossless && !isHostile,
    };
    for (const [member, reason] of diverged) {
      yield { client: clients[member]!, phase: "training", reason, diverged: true };
    }
    for (const piece of withoutMembers(finished, diverged)) {
      yield isHostile && attack?.garble ? garbled(piece, attack) : piece;
    }
  }

  #isHostile(id: number): boolean {
    return this.#options.hostile?.clients.has(id) ?? false;
  }

  /** Blocks of clients, hostile ones first and by themselves. */
  #chunks<T>(members: readonly T[], idOf: (member: T) => number): T[][] {
    const sides = [true, false].map((side) => members.filter((each) => this.#isHostile(idOf(each)) === side));
    return sides.flatMap((side) => chunk(side, this.blockSize));
  }

  /** The rows of each local step of some clients. */
  #plans(clients: readonly number[], round: number): StepPlan[] {
    return clients.map((client) => planBatches(this.#rows[client]!, { ...this.#options, round, client }));
  }

  /** Of all blocks of this round and those to come, the steps that may take the most memory; of the first block in any case. */
  #largest({ round, clients: own }: RoundWork, count: number): Map<number, StepPlan[]> {
    const { cohortsFrom } = this.#options;
    const plansOf = this.#plans.bind(this);
    const chunksOf = (ids: readonly number[]) => this.#chunks(ids, (id) => id);
    const ids = own.map(({ id }) => id);
    const blocks = function* () {
      for (const { round: each, clients } of cohortsFrom?.(round) ?? [{ round, clients: ids }]) {
        for (const [i, members] of chunksOf(clients).entries()) {
          yield { index: Math.min(i, count - 1), plans: plansOf(members, each) };
        }
      }
    };
    const largest = largestSteps(blocks(), this.#options);
    const first = plansOf(chunksOf(ids)[0] ?? [], round).map((plan) => plan.slice(0, 1));
    return new Map([[0, first], ...largest]);
  }
}

/** Clients that train together, and the rows of each one's steps. */
interface Block {
  readonly members: readonly Client[];
  readonly isHostile: boolean;
  readonly plans: readonly StepPlan[];
}

/** The most steps of some plans. */
function stepsOf(plans: readonly StepPlan[]): number {
  return plans.reduce((most, { length }) => Math.max(most, length), 0);
}

/** What a rehearsal has of clients like those before. */
export function untrained(gpu: Gpu, clients: readonly Client[], shapes: Shapes): Finished {
  const zero = clients.map(() => 0);
  return {
    clients,
    values: new Map(
      [...shapes].map(([name, [, ...shape]]) => [name, zeros(gpu, [clients.length, ...shape])]),
    ),
    keep: new Map(),
    losses: zero,
    bytesUp: zero,
    bytesDown: zero,
  };
}

/** Bytes of a download; nothing where nothing is sent. */
function bytesOf(shapes: Shapes): number {
  return shapes.size === 0 ? 0 : f32Codec.payloadBytes(shapes);
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += size) chunks.push(items.slice(i, i + size));
  return chunks;
}
