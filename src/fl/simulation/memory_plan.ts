import { type Gpu, OutOfMemoryError } from "../../engine/mod.ts";
import type { Prepared } from "../federate.ts";
import type { BlockParticipants } from "./block_participants.ts";
import type { SimulationOptions } from "./options.ts";

/** The blocks of a simulation, and the memory that its rounds will take. */
export interface MemoryPlan {
  /** Clients trained at once. */
  readonly blockSize: number;
  /** The most bytes of GPU buffers in use at once, those of the model counted. */
  readonly peakBytes: number;
  /** What may be held; null on a graphics processor, whose memory WebGPU doesn't report, unless the options say. */
  readonly budgetBytes: number | null;
}

/** Share of the free memory that a run may take, where the adapter is the CPU. */
const shareOfFree = 0.5;
/** What `"auto"` takes a graphics processor to have. */
const assumedBytes = 2 ** 31;

/** What {@linkcode planMemory} needs of a simulation. */
export type MemoryOptions = Pick<
  SimulationOptions,
  "blockSize" | "batchSize" | "maxGpuBytes" | "checkpointing"
>;

/**
 * Finds out what memory the rounds of a simulation will take by rehearsing one without the device. With `blockSize: "auto"` it
 * is that of the largest block that fits. Leaves `participants` with the blocks of the plan.
 *
 * @throws {OutOfMemoryError} when a round doesn't fit, with what would.
 */
export async function planMemory(
  { gpu, largestCohort, rehearse }: Prepared,
  participants: BlockParticipants,
  { blockSize, batchSize, maxGpuBytes, checkpointing }: MemoryOptions,
): Promise<MemoryPlan> {
  const budgetBytes = budgetOf(gpu, { maxGpuBytes, blockSize });
  const plan = async (size: number, withCheckpointing = checkpointing): Promise<MemoryPlan> => {
    participants.blockSize = size;
    participants.checkpointing = withCheckpointing;
    const peakBytes = gpu.stats().liveBytes + await rehearse();
    if (budgetBytes !== null && peakBytes > budgetBytes) {
      throw new OutOfMemoryError(
        `${gigabytes(peakBytes)} are needed and ${gigabytes(budgetBytes)} may be taken`,
      );
    }
    return { blockSize: size, peakBytes, budgetBytes };
  };
  const attempt = async (size: number, withCheckpointing = checkpointing): Promise<MemoryPlan | null> => {
    try {
      return await plan(size, withCheckpointing);
    } catch (error) {
      if (error instanceof OutOfMemoryError) return null;
      throw error;
    } finally {
      participants.checkpointing = checkpointing;
    }
  };
  // A cohort of none takes no block.
  const most = Math.max(1, largestCohort);
  const wanted = blockSize === "auto" ? most : Math.min(blockSize, most);
  try {
    return await plan(wanted);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    const largest = await largestFitting(wanted - 1, attempt);
    if (blockSize === "auto" && largest !== null) {
      participants.blockSize = largest.blockSize;
      return largest;
    }
    const advice = [
      ...largest === null ? [] : [`blocks of at most ${largest.blockSize} clients (blockSize "auto")`],
      ...checkpointing || await attempt(wanted, true) === null ? [] : ["checkpointing"],
      "a smaller batch, shorter texts, or the precision int8",
    ];
    throw new OutOfMemoryError(
      `Cannot train blocks of ${wanted} clients with batches of ${batchSize}: ${error.message}. Use ${
        advice.join(", or ")
      }`,
    );
  }
}

/** The plan of the largest block up to `most` that fits. */
async function largestFitting(
  most: number,
  attempt: (size: number) => Promise<MemoryPlan | null>,
): Promise<MemoryPlan | null> {
  let best: MemoryPlan | null = null;
  for (let [low, high] = [1, most]; low <= high;) {
    const middle = (low + high) >> 1;
    const plan = await attempt(middle);
    if (plan === null) high = middle - 1;
    else {
      best = plan;
      low = middle + 1;
    }
  }
  return best;
}

/** What may be held: as the options say, or a share of what is free beside what is held already. */
function budgetOf(
  gpu: Gpu,
  { maxGpuBytes, blockSize }: Pick<MemoryOptions, "maxGpuBytes" | "blockSize">,
): number | null {
  if (maxGpuBytes !== undefined) return maxGpuBytes;
  const { liveBytes, idleBytes } = gpu.stats();
  const free = gpu.freeBytes;
  if (free !== undefined) return liveBytes + idleBytes + shareOfFree * free;
  return blockSize === "auto" ? assumedBytes : null;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toPrecision(3)} GB`;
}
