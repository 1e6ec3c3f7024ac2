import columnSource from "../../../shaders/reduction/reduce.wgsl";
import rowSource from "../../../shaders/reduction/reduce_rows.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { type Shape, sizeOf } from "../../shape.ts";
import { empty, Tensor } from "../../tensor.ts";
import { tidy } from "../../tidy.ts";
import { launch } from "../launch.ts";
import { launchRows } from "./row_launch.ts";

const columnKernel = new Kernel({
  name: "reduce_columns",
  source: columnSource,
  bindings: ["read", "write"],
});
const rowKernel = new Kernel({
  name: "reduce_rows",
  source: rowSource,
  bindings: ["read", "write"],
});

/** What a reduction computes. */
export type Reduction = "SUM" | "MAX" | "SUM_OF_SQUARES";

/**
 * Longest run that one thread reduces down a column, or the threads of one job along a row. Longer runs are reduced in
 * chunks of this length, then the chunks are. Always the same, so that zeros after the real terms don't change the order
 * of these, nor the bits of the sum.
 */
const chunkLength = { columns: 64, row: 1024 } as const;

/** Options of {@linkcode reduceMiddle}. */
export interface ReduceMiddleOptions {
  readonly op: Reduction;
  readonly extents: readonly [outer: number, length: number, inner: number];
  /** Where to write the result, outer · inner numbers; a new tensor [outer, 1, inner] by default. */
  readonly into?: Tensor | undefined;
}

/** Reduces the middle of [outer, length, inner]. */
export function reduceMiddle(x: Tensor, { op, extents, into }: ReduceMiddleOptions): Tensor {
  const [outer, length, inner] = extents;
  const chunk = inner === 1 ? chunkLength.row : chunkLength.columns;
  const chunks = Math.max(1, Math.ceil(length / chunk));
  const partial = (chunks === 1 ? into : undefined) ?? empty(x.gpu, [outer, chunks, inner]);
  if (inner === 1) {
    launchRows(rowKernel, {
      tensors: [x, partial],
      params: [outer, length, chunks, chunk],
      jobs: outer * chunks,
      constants: { OP: op },
    });
  } else {
    const VEC = inner % 4 === 0;
    launch(columnKernel, {
      tensors: [x, partial],
      params: [outer, length, VEC ? inner / 4 : inner, chunks, chunk],
      threads: VEC ? partial.size / 4 : partial.size,
      constants: { OP: op, VEC },
    });
  }
  if (chunks === 1) return partial;
  return reduceMiddle(partial, { op: op === "MAX" ? "MAX" : "SUM", extents: [outer, chunks, inner], into });
}

/** Reduces each run of neighbouring axes at once, the last first. */
export function reduceAxes(x: Tensor, axes: readonly number[], op: Reduction): Tensor {
  const shape = [...x.shape];
  let result = x;
  let step = op;
  for (let last = axes.length - 1; last >= 0;) {
    let first = last;
    while (first > 0 && axes[first - 1] === axes[first]! - 1) first--;
    const from = axes[first]!;
    const to = axes[last]! + 1;
    const extents = [
      sizeOf(shape.slice(0, from)),
      sizeOf(shape.slice(from, to)),
      sizeOf(shape.slice(to)),
    ] as const;
    result = reduceMiddle(result, { op: step, extents });
    shape.fill(1, from, to);
    if (step === "SUM_OF_SQUARES") step = "SUM";
    last = first - 1;
  }
  return result;
}

/** Sums a gradient over the axes along which `shape` was broadcast to it; not recorded. */
export function sumTo(dy: Tensor, shape: Shape): Tensor {
  const missing = dy.ndim - shape.length;
  const axes = dy.shape.flatMap((extent, i) =>
    i < missing || (shape[i - missing] === 1 && extent !== 1) ? [i] : []
  );
  return tidy(() => viewAs(axes.length === 0 ? dy : reduceAxes(dy, axes, "SUM"), shape));
}

function viewAs(x: Tensor, shape: Shape): Tensor {
  return new Tensor(x.gpu, x.storage, { shape, dtype: x.dtype, offset: x.offset });
}
