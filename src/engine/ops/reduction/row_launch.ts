import type { AdapterClass } from "../../gpu/device.ts";
import type { Kernel, KernelConstant } from "../../gpu/kernel.ts";
import type { Tensor } from "../../tensor.ts";
import { gridOf, launch } from "../launch.ts";

/**
 * Threads for each row, and rows for each workgroup. On a GPU, neighbouring threads should read neighbouring columns; a CPU
 * doesn't gain from that, and barriers are very expensive there. The order of a sum depends on LANES, so each adapter class
 * has one value.
 */
const lanes: Readonly<Record<AdapterClass, { LANES: number; GROUPS: number }>> = {
  cpu: { LANES: 1, GROUPS: 8 },
  gpu: { LANES: 32, GROUPS: 2 },
};

/** Options of {@linkcode launchRows}. */
export interface RowLaunchOptions {
  readonly tensors: readonly Tensor[];
  /** Words of the uniform struct, of which the first two are the numbers of rows and of columns. */
  readonly params: readonly [rows: number, columns: number, ...others: number[]];
  /** Number of jobs; the number of rows by default. */
  readonly jobs?: number;
  readonly constants?: Readonly<Record<string, KernelConstant>>;
}

/** The constants of rows.wgsl for rows of a length on the adapter of a tensor. */
export function rowConstants(
  { gpu }: Tensor,
  columns: number,
): { VEC: boolean; LANES: number; GROUPS: number } {
  return { VEC: columns % 4 === 0, ...lanes[gpu.adapter.class] };
}

/** Records a kernel whose job is a row; see rows.wgsl. */
export function launchRows(kernel: Kernel, options: RowLaunchOptions): void {
  const { tensors, params, constants } = options;
  const [rows, columns] = params;
  const common = rowConstants(tensors[0]!, columns);
  launch(kernel, {
    tensors,
    params,
    workgroups: gridOf(Math.ceil((options.jobs ?? rows) / common.GROUPS)),
    constants: { ...common, ...constants },
  });
}
