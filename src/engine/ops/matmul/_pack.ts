import source from "../../../shaders/matmul/pack.wgsl";
import type { TexelRange } from "../../gpu/bind_group_cache.ts";
import type { PooledTexels } from "../../gpu/buffer_pool.ts";
import { f32Bits, type Gpu } from "../../gpu/device.ts";
import { Kernel } from "../../gpu/kernel.ts";
import type { Precision } from "../../tensor.ts";
import type { MatrixView } from "./gemm.ts";
import { type Bindable, launch } from "../launch.ts";
import { precisionConstants } from "./matmul_plan.ts";

/** A batch of matrices in texels of four neighbours in a row; see `pack.wgsl` for their order. */
export class TexelMatrix implements Bindable {
  readonly gpu: Gpu;
  readonly range: TexelRange;
  /** Elements of a row, brought to whole texels. */
  readonly row: number;
  /** Elements between the outer and the inner entries of the batch; 0 for a single matrix. */
  readonly outer: number;
  readonly inner: number;

  constructor(gpu: Gpu, texels: PooledTexels, strides: { row: number; outer: number; inner: number }) {
    this.gpu = gpu;
    this.range = { buffer: texels, offset: 0, bytes: texels.bytes };
    this.row = strides.row;
    this.outer = strides.outer;
    this.inner = strides.inner;
  }

  /** Gives the memory back to the device. */
  dispose(): void {
    this.gpu.release(this.range.buffer);
  }
}

/** Options of {@linkcode pack}. */
export interface PackOptions {
  /** Of op(source). */
  readonly rows: number;
  /** Columns of op(source). */
  readonly k: number;
  /** Outer and inner entries of the batch; one matrix is packed where all are the same. */
  readonly batch: readonly [number, number];
  /** The source is stored [k, rows]. */
  readonly transposed: boolean;
  /** Four elements of the source can be read at once. */
  readonly vec: boolean;
  /** Follows the last k up to a whole texel: what changes no sum. */
  readonly fill: 0 | -0;
  /** A matrix in 8 bits whose rows' scales multiply the columns of op(source), and the word where they begin. */
  readonly scaled?: { readonly tensor: Bindable; readonly scalesAt: number } | undefined;
}

/** Rows whose texels stand side by side. */
const rowsInBlock = 8;
/** Workgroups along an axis of the grid that every device allows. */
const mostWorkgroups = 65535;
/** Threads of a workgroup: a subgroup of the adapters that read texels. */
const lanes = 8;

const kernels = [false, true].map((isScaled) =>
  new Kernel({
    name: "pack",
    source,
    bindings: ["read", "write texels", ...(isScaled ? ["read"] as const : [])],
  })
);

/** Copies a batch of matrices into texels; undefined if no texture or grid holds so many. The caller disposes it. */
export function pack(
  { tensor, offset = 0, row, outer = 0, inner = 0 }: MatrixView,
  { rows, k, batch, transposed, vec, fill, scaled }: PackOptions,
): TexelMatrix | undefined {
  const { gpu } = tensor;
  const [outerCount, innerCount] = outer === 0 && inner === 0 ? [1, 1] : batch;
  const count = outerCount * innerCount;
  const workgroups = [Math.ceil(rows / (lanes * (transposed && vec ? 4 : 1))), count, 1] as const;
  if (Math.max(...workgroups) > mostWorkgroups) return undefined;
  const quads = Math.ceil(k / 4);
  const blocks = Math.ceil(rows / rowsInBlock);
  const texels = gpu.acquireTexels(16 * rowsInBlock * count * blocks * quads);
  if (texels === undefined) return undefined;
  const size = count === 1 ? 0 : 4 * rowsInBlock * blocks * quads;
  const target = new TexelMatrix(gpu, texels, { row: 4 * quads, outer: innerCount * size, inner: size });
  const { HALF_B, INT8_B } = precisionConstants({ precisionB: tensor.dtype as Precision });
  const strides = [offset, row, outer, inner, innerCount, scaled?.scalesAt ?? 0];
  launch(kernels[Number(scaled !== undefined)]!, {
    tensors: [tensor, target, ...(scaled ? [scaled.tensor] : [])],
    params: [rows, k, quads, blocks, ...strides, f32Bits(fill), 0],
    workgroups,
    constants: {
      LANES: lanes,
      TRANSPOSED: transposed,
      VEC: vec,
      HALF_B,
      INT8_B,
      SCALE_A: scaled !== undefined,
    },
  });
  return target;
}
