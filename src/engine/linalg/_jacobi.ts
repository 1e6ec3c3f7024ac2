import blockSource from "../../shaders/jacobi_block.wgsl";
import workgroupSource from "../../shaders/jacobi_block_workgroup.wgsl";
import jacobiSource from "../../shaders/jacobi.wgsl";
import lanesSource from "../../shaders/lanes.wgsl";
import rotationSource from "../../shaders/rotation.wgsl";
import { type AdapterDescription, f32Bits } from "../gpu/device.ts";
import { Kernel, type KernelConstant } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { extentsOf, laneConstants, type Rows } from "./_rows.ts";
import { ConvergenceError } from "./errors.ts";

const round = (name: string, source: string) => new Kernel({ name, source, bindings: ["write", "write"] });
const kernels = {
  pairs: round("jacobi_round", lanesSource + jacobiSource),
  subgroup: round("jacobi_block_round", rotationSource + blockSource),
  workgroup: round("jacobi_block_workgroup_round", rotationSource + workgroupSource),
};

/**
 * Rows from which a GPU takes blocks of 16: below, too few workgroups of 256 threads would have work, and the plain pairs
 * take few rounds. Not measured on a GPU.
 */
const workgroupRows = 128;

/** How the rows of a stack are paired off. */
export interface Tournament {
  readonly kernel: Kernel;
  readonly constants: Readonly<Record<string, KernelConstant>>;
  /** Rows of a block; a round takes pairs of them. */
  readonly block: number;
  /** Pairs of blocks a workgroup. */
  readonly groups: number;
  /** Bits of a row's number in its pair of blocks by which rows of one block meet, each in one more round. */
  readonly inner: number;
  /** The number of rows, rounded up to whole pairs. */
  readonly rows: number;
}

/**
 * Chooses the kernel for a stack of `count` rows. It depends on nothing else, so a stack's bits don't depend on the
 * others'.
 *
 * On a CPU what counts is stores, and blocks of 8 make a quarter of those that blocks of 2 make. They need subgroups of 8.
 */
export function planTournament(
  adapter: Pick<AdapterDescription, "class" | "subgroupSize">,
  count: number,
): Tournament {
  const plan = (kernel: Kernel, block: number, inner: number) => ({
    kernel,
    constants: {},
    block,
    groups: 1,
    inner,
    rows: Math.ceil(count / (2 * block)) * 2 * block,
  });
  if (adapter.class === "cpu" && adapter.subgroupSize === 8) return plan(kernels.subgroup, 8, 3);
  if (adapter.class === "gpu" && count >= workgroupRows) return plan(kernels.workgroup, 16, 4);
  const constants = laneConstants[adapter.class];
  return { ...plan(kernels.pairs, 2, 0), constants, groups: constants.GROUPS };
}

/** When {@linkcode orthogonalize} ends. */
export interface OrthogonalizeOptions {
  readonly maxSweeps: number;
  /** Largest |cosine| between two rows that counts as orthogonal. */
  readonly tolerance: number;
}

/** How {@linkcode orthogonalize} ended. */
export interface Orthogonalized {
  readonly sweeps: number;
  readonly largestCosine: number;
}

/** Sweeps before the first readback; fewer are rare, and a stack at rest costs next to nothing. */
const firstSweeps = 4;

/**
 * Rotates the rows of each stack [N, n, stride], n that of the tournament, until their first n elements are orthogonal; the
 * rest of the rows is rotated along. One readback a sweep for all stacks, from the fourth on.
 *
 * @throws {ConvergenceError} when `maxSweeps` don't suffice.
 */
export async function orthogonalize(
  rows: Rows,
  tournament: Tournament,
  { maxSweeps, tolerance }: OrthogonalizeOptions,
): Promise<Orthogonalized> {
  const batch = rows.shape[0]!;
  // What came before the first sweep is above any tolerance.
  const cosines = tensor(rows.gpu, new Uint32Array((maxSweeps + 1) * batch).fill(f32Bits(2), 0, batch));
  const limit = Math.fround(tolerance);
  const last = new Float32Array(batch).fill(2);
  try {
    for (let done = 0; done < maxSweeps;) {
      const end = Math.min(maxSweeps, Math.max(firstSweeps, done + 1));
      for (let sweep = done + 1; sweep <= end; sweep++) {
        recordSweep(rows, cosines, { ...tournament, sweep, tolerance });
      }
      const { buffer } = cosines.storage;
      const bytes = await rows.gpu.read(buffer, (done + 1) * batch * 4, (end - done) * batch * 4);
      const found = new Float32Array(bytes);
      for (let first = 0; done < end; first += batch) {
        done++;
        // A stack at rest reports nothing: what its last sweep met stands.
        for (let b = 0; b < batch; b++) if (last[b]! > limit) last[b] = found[first + b]!;
        const largestCosine = largestOf(last);
        if (largestCosine <= limit) return { sweeps: done, largestCosine };
      }
    }
  } finally {
    cosines.dispose();
  }
  throw new ConvergenceError(
    `Cannot decompose: after ${maxSweeps} sweeps the largest cosine is ${
      largestOf(last)
    }, expected at most ${tolerance}`,
  );
}

function largestOf(values: Float32Array): number {
  return values.reduce((a, b) => Math.max(a, b));
}

function recordSweep(
  rows: Rows,
  cosines: Tensor,
  { kernel, constants, block, groups, inner, sweep, tolerance }: Tournament & {
    sweep: number;
    tolerance: number;
  },
): void {
  const [batch, n, stride] = extentsOf(rows);
  const blocks = n / block;
  const run = (turn: number, split: number) =>
    launch(kernel, {
      tensors: [rows, cosines],
      params: [blocks, n / 4, stride / 4, turn, sweep, f32Bits(tolerance), split],
      workgroups: [Math.ceil(blocks / 2 / groups), 1, batch],
      constants,
    });
  for (let split = 0; split < inner; split++) run(0, split);
  for (let turn = 0; turn < blocks - 1; turn++) run(turn, inner);
}
