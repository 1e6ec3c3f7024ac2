import blockSource from "../../shaders/linalg/jacobi_block.wgsl";
import workgroupSource from "../../shaders/linalg/jacobi_block_workgroup.wgsl";
import jacobiSource from "../../shaders/linalg/jacobi.wgsl";
import type { AdapterDescription } from "../gpu/device.ts";
import { Kernel, type KernelConstant } from "../gpu/kernel.ts";
import { laneConstants } from "./_rows.ts";

const round = (name: string, source: string) => new Kernel({ name, source, bindings: ["write", "write"] });
const kernels = {
  pairs: round("jacobi_round", jacobiSource),
  subgroup: round("jacobi_block_round", blockSource),
  workgroup: round("jacobi_block_workgroup_round", workgroupSource),
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
 * On a CPU the number of stores matters most, and blocks of 8 need a quarter of the stores of blocks of 2. They require
 * subgroups of 8.
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
