import registerSource from "../../shaders/matmul_register.wgsl";
import workgroupSource from "../../shaders/matmul_workgroup.wgsl";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { planMatmul } from "../gpu/matmul_plan.ts";
import type { Tensor } from "../tensor.ts";
import { launch } from "./launch.ts";

/** A batch of matrices inside a tensor: strides and offset in elements. */
export interface MatrixView {
  readonly tensor: Tensor;
  /** Of the first element; 0 by default. */
  readonly offset?: number;
  /** Between rows as they are stored. */
  readonly row: number;
  /** Between outer and inner entries of the batch; 0 where the batch shares one matrix. */
  readonly outer?: number;
  readonly inner?: number;
}

/** One batched product C = alpha·op(A)·op(B) + bias. */
export interface GemmOptions {
  readonly a: MatrixView;
  readonly b: MatrixView;
  /** Written; may be a strided part of a tensor. */
  readonly c: MatrixView;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Outer and inner batch extents. */
  readonly batch?: readonly [number, number];
  /** A is stored [k, m]. */
  readonly transposeA?: boolean;
  /** B is stored [n, k]. */
  readonly transposeB?: boolean;
  /** n values, added to every row; one set for each outer and inner entry by their strides. */
  readonly bias?: { readonly tensor: Tensor; readonly outer?: number; readonly inner?: number };
  readonly alpha?: number;
  /** The sums start from C, so that a sum over k in two launches has the bits of one; alpha is 1. */
  readonly accumulate?: boolean;
}

const bindings = ["read", "read", "write", "read"] as const;
const kernels = {
  register: new Kernel({ name: "matmul_register", source: registerSource, bindings }),
  workgroup: new Kernel({ name: "matmul_workgroup", source: workgroupSource, bindings }),
};

/**
 * Records one batched matrix product. Each element is one chain of fused multiply-adds in the order of k, whatever
 * kernel is chosen, so all of them give the same bits.
 */
export function gemm(options: GemmOptions): void {
  const { a, b, c, m, n, k, batch = [1, 1], bias, alpha = 1, accumulate = false } = options;
  const { transposeA = false, transposeB = false } = options;
  if (m * n * batch[0] * batch[1] === 0) return;
  const { class: adapterClass, subgroupSize } = c.tensor.gpu.adapter;
  const plan = planMatmul({
    m,
    n,
    k: Math.max(k, 1), // an empty sum is 0, which the kernels start at
    batch: batch[0] * batch[1],
    transposeA,
    transposeB,
    vecA: isVectorizable(a, transposeA ? m : k),
    vecB: isVectorizable(b, transposeB ? k : n),
    hasBias: bias !== undefined,
    accumulate,
    adapterClass,
    ...(subgroupSize !== undefined && { subgroupSize }),
  });
  launch(kernels[plan.shader], {
    tensors: [a.tensor, b.tensor, c.tensor, bias?.tensor ?? a.tensor],
    params: [
      m,
      n,
      k,
      batch[1],
      ...placement(a),
      ...placement(b),
      ...placement(c),
      0,
      bias?.outer ?? 0,
      bias?.inner ?? 0,
      f32Bits(alpha),
      batch[0] * batch[1],
    ],
    workgroups: plan.workgroups,
    constants: plan.constants,
  });
}

function placement({ offset = 0, row, outer = 0, inner = 0 }: MatrixView): number[] {
  return [offset, row, outer, inner];
}

function isVectorizable({ offset = 0, row, outer = 0, inner = 0 }: MatrixView, extent: number): boolean {
  return [offset, row, outer, inner, extent].every((value) => value % 4 === 0);
}
