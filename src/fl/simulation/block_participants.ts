import { type Gpu, zeros } from "../../engine/mod.ts";
import {
  type LocalTrainingOptions,
  type LocalWork,
  packBatches,
  planBatches,
  rowsOf,
  type TaskSet,
} from "../../tasks/mod.ts";
import { downloadShapes } from "../client/download.ts";
import { trainClients } from "../client/train_clients.ts";
import type { Client } from "../method.ts";
import type { Finished, Participants, RoundWork } from "../participants.ts";
import type { Stage } from "../privacy/stage.ts";
import { type Shapes, shapesOf } from "../tensors.ts";
import type { Codec } from "../transport/codec.ts";
import { f32Codec } from "../transport/float_codec.ts";

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

  /** Trains the cohort, block by block in the order of client numbers. */
  async *train(work: RoundWork): AsyncGenerator<Finished> {
    const { clients, model: { gpu }, onProgress } = work;
    const blocks = chunk(clients, this.blockSize).map((members) => ({
      members,
      plans: members.map((client) => gpu.isRehearsing ? this.#longest() : this.#plan(client, work.round)),
    }));
    const steps = blocks.map(({ plans }) => plans.reduce((most, { length }) => Math.max(most, length), 0));
    const total = steps.reduce((sum, count) => sum + count, 0);
    let done = 0;
    let shapes: Shapes | undefined;
    for (const [i, block] of blocks.entries()) {
      // In a rehearsal, the blocks between the first and the last two take the memory of the first.
      if (gpu.isRehearsing && shapes !== undefined && i < blocks.length - 2) {
        yield untrained(gpu, block.members, shapes);
        continue;
      }
      const finished = await this.#trainBlock(block, work, (steps) => onProgress?.(done + steps, total));
      done += steps[i]!;
      shapes = shapesOf(finished.values);
      yield finished;
    }
  }

  async #trainBlock(
    { members: clients, plans }: Block,
    { round, plan, model, store }: RoundWork,
    onProgress: (steps: number) => void,
  ): Promise<Finished> {
    const { train, batchSize, learningRate, isCentral = false } = this.#options;
    const nothing = clients.map(() => 0);
    const bytesDown = isCentral
      ? nothing
      : clients.map((client) => bytesOf(downloadShapes(model, plan, client)));
    const trained = await trainClients(model, plan, {
      ...this.#options,
      checkpointing: this.checkpointing,
      round,
      clients,
      kept: await Promise.all(clients.map(({ id }) => store.load(id))),
      batches: packBatches(train, plans, batchSize),
      learningRate: learningRate(round - 1),
      onProgress,
    });
    return { clients, ...trained, ...(isCentral && { bytesUp: nothing }), bytesDown };
  }

  /** The examples of each local step of a client. */
  #plan({ id }: Client, round: number): number[][] {
    return planBatches(this.#rows[id]!, { ...this.#options, round, client: id });
  }

  /** As many steps as the client with the most data takes. */
  #longest(): number[][] {
    const { work, batchSize } = this.#options;
    const rows = this.#rows.reduce((most, { length }) => Math.max(most, length), 0);
    const steps = "steps" in work ? work.steps : work.epochs * Math.ceil(rows / batchSize);
    return new Array<number[]>(steps).fill([0]);
  }
}

/** Clients that train together, and the rows of each one's steps. */
interface Block {
  readonly members: readonly Client[];
  readonly plans: readonly (readonly (readonly number[])[])[];
}

/** What a rehearsal has of clients like those before. */
function untrained(gpu: Gpu, clients: readonly Client[], shapes: Shapes): Finished {
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
