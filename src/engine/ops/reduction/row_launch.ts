import type { AdapterClass } from "../../gpu/device.ts";
import type { Kernel, KernelConstant } from "../../gpu/kernel.ts";
import type { Tensor } from "../../tensor.ts";
import { gridOf, launch } from "../launch.ts";

/**
 * Threads a row and rows a workgroup. On a GPU neighbouring threads read neighbouring columns; to a CPU that is nothing,
 * and barriers are very expensive. The order of a sum depends on LANES, so it is one number an adapter class.
 */
const lanes: Readonly<Record<AdapterClass, { LANES: number; GROUPS: number }>> = {
  cpu: { LANES: 1, GROUPS: 8 },
  gpu: { LANES: 32, GROUPS: 2 },
};

/** What {@linkcode launchRows} needs to know. */
export interface RowLaunchOptions {
  readonly tensors: readonly Tensor[];
  /** Words of the uniform struct, of which the first two are the numbers of rows and of columns. */
  readonly params: readonly [rows: number, columns: number, ...others: number[]];
  /** Jobs, where they aren't the rows. */
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
