import source from "../../shaders/reduce.wgsl";
import { Kernel } from "../gpu/kernel.ts";
import { type Shape, sizeOf } from "../shape.ts";
import { empty, Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { launch } from "./launch.ts";

const reduceKernel = new Kernel({ name: "reduce", source, bindings: ["read", "write"] });

/** What a reduction computes. */
export type Reduction = "SUM" | "MAX" | "SUM_OF_SQUARES";

/**
 * Longest run that one thread adds up; longer ones are reduced in chunks of this, then the chunks. Always the same, so
 * that zeros after the real terms leave the order of these, and so the bits of the sum, as they are.
 */
const chunkLength = 256;

/** Reduces the middle of [outer, length, inner]. */
export function reduceMiddle(
  x: Tensor,
  { op, extents }: { op: Reduction; extents: readonly [number, number, number] },
): Tensor {
  const [outer, length, inner] = extents;
  const chunks = Math.max(1, Math.ceil(length / chunkLength));
  const partial = empty(x.gpu, [outer, chunks, inner]);
  launch(reduceKernel, {
    tensors: [x, partial],
    params: [outer, length, inner, chunks, chunkLength],
    threads: partial.size,
    constants: { OP: op },
  });
  if (chunks === 1) return partial;
  return reduceMiddle(partial, { op: op === "MAX" ? "MAX" : "SUM", extents: [outer, chunks, inner] });
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
  const missing = dy.rank - shape.length;
  const axes = dy.shape.flatMap((extent, i) =>
    i < missing || (shape[i - missing] === 1 && extent !== 1) ? [i] : []
  );
  return tidy(() => viewAs(axes.length === 0 ? dy : reduceAxes(dy, axes, "SUM"), shape));
}

function viewAs(x: Tensor, shape: Shape): Tensor {
  return new Tensor(x.gpu, x.storage, { shape, dtype: x.dtype, offset: x.offset });
}
