import { disposeAll, type Gpu, OutOfMemoryError } from "../../../../engine/mod.ts";
import { hostStore } from "../../../../fl/client/client_store.ts";
import type { OpenedState } from "../../../../fl/mod.ts";
import { isLost, type Outcome, type RoundWork, tensorsOfOutcome } from "../../../../fl/participants.ts";
import { planMemory } from "../../../../fl/simulation/memory_plan.ts";
import type { HostTensors } from "../../../../fl/tensors.ts";
import type { Objects } from "../../objects.ts";
import type { Heart } from "./heart.ts";
import type { BlockOfWork } from "../messages.ts";
import type { JobOpener, OpenJob } from "./open_job_node.ts";
import { decodeKept, decodeState } from "../state_bytes.ts";

/** Options of a {@linkcode BlockTrainer}. */
export interface BlockTrainerOptions {
  readonly gpu: Gpu;
  readonly objects: Objects;
  readonly opener: JobOpener;
  readonly heart: Heart;
  /** The most bytes of GPU buffers to hold. */
  readonly maxGpuBytes?: number | undefined;
  /** Fetches an object from the bucket by its hash. */
  readonly get: (sha256: string) => Promise<Uint8Array>;
}

/** A block that nobody waits for any more. */
export class Abandoned extends Error {}

/** Trains blocks, and keeps the job and the state that it has opened for the next of them. */
export class BlockTrainer {
  readonly #options: BlockTrainerOptions;
  readonly #maxHeldBytes: number;
  #job: { readonly sha256: string; readonly open: OpenJob } | undefined;
  #state: { readonly sha256: string; readonly opened: OpenedState } | undefined;
  /** The largest blocks that were planned for: clients, rows of a step. */
  #planned: readonly number[] | undefined;

  constructor(options: BlockTrainerOptions) {
    this.#options = options;
    this.#maxHeldBytes = options.gpu.maxHeldBytes;
  }

  /**
   * Trains a block.
   *
   * @param isAbandoned whether nobody waits for it any more.
   * @throws {Abandoned} when it is.
   */
  async train(block: BlockOfWork, isAbandoned: () => boolean): Promise<Outcome[]> {
    const { heart } = this.#options;
    const { round, clients, kept } = block;
    const { side, memory } = await this.#openJob(block);
    const { state, global } = await this.#openState(block, side);
    const stored = kept && decodeKept(await this.#options.get(kept.sha256), clients.length);
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
        if (isAbandoned()) {
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
    const { gpu, maxGpuBytes } = this.#options;
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

  async #openJob({ job }: BlockOfWork): Promise<OpenJob> {
    if (this.#job?.sha256 !== job.sha256) {
      this.#close();
      const { opener, objects } = this.#options;
      this.#job = { sha256: job.sha256, open: await opener.open(objects, job) };
      this.#planned = undefined;
    }
    return this.#job.open;
  }

  async #openState({ state }: BlockOfWork, side: OpenJob["side"]): Promise<OpenedState> {
    if (this.#state?.sha256 !== state.sha256) {
      this.#state?.opened[Symbol.dispose]();
      this.#state = undefined;
      const bytes = await this.#options.get(state.sha256);
      this.#state = { sha256: state.sha256, opened: side.read(decodeState(bytes)) };
    }
    return this.#state.opened;
  }

  /** Frees what it has opened. */
  [Symbol.dispose](): void {
    this.#close();
  }

  #close(): void {
    this.#state?.opened[Symbol.dispose]();
    this.#state = undefined;
    this.#job?.open[Symbol.dispose]();
    this.#job = undefined;
    this.#options.gpu.maxHeldBytes = this.#maxHeldBytes;
  }
}
