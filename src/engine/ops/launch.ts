import type { KernelConstant } from "../gpu/kernel.ts";
import { Kernel } from "../gpu/kernel.ts";
import type { Workgroups } from "../gpu/command_stream.ts";
import { formatShape } from "../shape.ts";
import type { BoundRange } from "../gpu/bind_group_cache.ts";
import type { Gpu } from "../gpu/device.ts";
import type { DType, Tensor } from "../tensor.ts";

/** A tensor, or anything else that a kernel can bind. */
export interface Bindable {
  readonly gpu: Gpu;
  readonly range: BoundRange;
}

/** Options of {@linkcode launch}. */
export interface LaunchOptions {
  /** Every binding in order, inputs and outputs. */
  readonly tensors: readonly Bindable[];
  /** Words of the uniform struct. */
  readonly params: readonly number[];
  /** Threads to run, 64 in each workgroup; alternatively `workgroups`. */
  readonly threads?: number;
  readonly workgroups?: Workgroups;
  readonly constants?: Readonly<Record<string, KernelConstant>>;
  /** As in {@linkcode Launch}, for a profiler. */
  readonly flops?: number | undefined;
  readonly detail?: string | undefined;
}

const maxWorkgroups = 65535;

/** Records a kernel over tensors; nothing is recorded for zero threads. */
export function launch(kernel: Kernel, options: LaunchOptions): void {
  const { tensors, params, constants, flops, detail } = options;
  const workgroups = options.workgroups ?? gridOf(Math.ceil((options.threads ?? 0) / 64));
  if (workgroups.includes(0)) return;
  tensors[0]!.gpu.dispatch(kernel, {
    buffers: tensors.map((each) => each.range),
    params,
    workgroups,
    flops,
    detail,
    ...(constants && { constants }),
  });
}

/** Spreads a number of workgroups along x, then y. */
export function gridOf(groups: number): Workgroups {
  const x = Math.min(groups, maxWorkgroups);
  return [x, groups === 0 ? 0 : Math.ceil(groups / x), 1];
}

/**
 * Checks that operands live on one device and have the element type an operation works on.
 *
 * @throws {TypeError} naming the operation, what was expected and what was given.
 */
export function checkOperands(operation: string, tensors: readonly Tensor[], dtype: DType = "f32"): void {
  for (const each of tensors) {
    if (each.dtype !== dtype) {
      throw new TypeError(
        `Cannot ${operation} a tensor of dtype ${each.dtype} and shape ${
          formatShape(each.shape)
        }: expected ${dtype}`,
      );
    }
    if (each.gpu !== tensors[0]!.gpu) {
      throw new TypeError(`Cannot ${operation} tensors of different GPU devices`);
    }
  }
}
