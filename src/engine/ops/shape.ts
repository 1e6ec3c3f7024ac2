import source from "../../shaders/strided_copy.wgsl";
import { record } from "../autograd.ts";
import { Kernel } from "../gpu/kernel.ts";
import {
  broadcastStrides,
  canBroadcast,
  collapseAxes,
  formatShape,
  normalizeAxis,
  type Shape,
  sizeOf,
  stridesOf,
} from "../shape.ts";
import { empty, isStorageOnly, Tensor } from "../tensor.ts";
import { launch } from "./launch.ts";
import { zeros } from "./create.ts";

const gatherKernel = new Kernel({
  name: "strided_copy",
  source,
  entry: "gather",
  bindings: ["read", "write"],
});
const scatterKernel = new Kernel({
  name: "strided_copy",
  source,
  entry: "scatter",
  bindings: ["read", "write"],
});
const maxAxes = 6;

/** A strided part of a tensor, in elements. */
export interface StridedView {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset?: number;
}

/** Records a copy between a view and a contiguous tensor; its last axis decides on four words a thread. */
function launchCopy(kernel: Kernel, tensors: readonly Tensor[], view: StridedView): void {
  const { shape, strideLists: [strides] } = collapseAxes(view.shape, [view.strides]);
  if (shape.length > maxAxes) {
    throw new TypeError(
      `Cannot copy a strided view of shape ${
        formatShape(view.shape)
      }: more than ${maxAxes} axes remain after merging`,
    );
  }
  const extents = new Array<number>(maxAxes).fill(1);
  const steps = new Array<number>(maxAxes).fill(0);
  shape.forEach((extent, i) => {
    const axis = maxAxes - shape.length + i;
    extents[axis] = extent;
    steps[axis] = strides![i]!;
  });
  const size = sizeOf(view.shape);
  const QUADS = extents[maxAxes - 1]! % 4 === 0;
  launch(kernel, {
    tensors,
    params: [
      ...extents.slice(0, 4),
      ...steps.slice(0, 4),
      ...extents.slice(4),
      ...steps.slice(4),
      size,
      view.offset ?? 0,
    ],
    threads: QUADS ? size / 4 : size,
    constants: { QUADS },
  });
}

/** A contiguous copy of a strided view of `x`, in `target` if one of its size is given; not recorded. */
export function gatherView(x: Tensor, view: StridedView, target = empty(x.gpu, view.shape, x.dtype)): Tensor {
  if (isStorageOnly(x.dtype)) {
    throw new TypeError(`Cannot rearrange a tensor of dtype ${x.dtype}: convert it by toFloat first`);
  }
  launchCopy(gatherKernel, [x, target], view);
  return target;
}

/** Writes `x` over a strided view of `target`, in place; not recorded. */
export function scatterView(x: Tensor, target: Tensor, view: StridedView): void {
  launchCopy(scatterKernel, [x, target], view);
}

/**
 * The same elements in another shape, without a copy. One extent may be −1; it is computed from the others.
 *
 * @throws {TypeError} when the sizes differ.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = sizeOf(shape.filter((extent) => extent !== -1));
  const resolved = shape.map((extent) => extent === -1 ? x.size / known : extent);
  if (
    sizeOf(resolved) !== x.size || !resolved.every(Number.isInteger) ||
    shape.filter((e) => e === -1).length > 1
  ) {
    throw new TypeError(`Cannot reshape ${formatShape(x.shape)} to ${formatShape(shape)}: sizes must agree`);
  }
  if (x.dtype === "int8" && resolved.at(-1) !== x.shape.at(-1)) {
    throw new TypeError(
      `Cannot reshape ${formatShape(x.shape)} of dtype int8 to ${formatShape(shape)}: rows must stay whole`,
    );
  }
  const result = new Tensor(x.gpu, x.storage, { shape: resolved, dtype: x.dtype, offset: x.offset });
  return record(result, [x], [(dy) => reshape(dy, x.shape)]);
}

/** Reorders axes: axis `i` of the result is axis `order[i]` of `x`. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  const axes = order.map((axis) => normalizeAxis(axis, x.ndim));
  if (axes.length !== x.ndim || new Set(axes).size !== x.ndim) {
    throw new TypeError(
      `Cannot permute ${formatShape(x.shape)} by ${formatShape(order)}: expected each axis once`,
    );
  }
  const strides = stridesOf(x.shape);
  const result = gatherView(x, {
    shape: axes.map((axis) => x.shape[axis]!),
    strides: axes.map((axis) => strides[axis]!),
  });
  const inverse = axes.map((_, i) => axes.indexOf(i));
  return record(result, [x], [(dy) => permute(dy, inverse)]);
}

/** Swaps the last two axes. */
export function transpose(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i);
  return permute(x, [...axes.slice(0, -2), x.ndim - 1, x.ndim - 2]);
}

/** Options of {@linkcode slice}. */
export interface SliceOptions {
  /** Axis to cut; 0 by default. */
  readonly axis?: number;
  /** First index. */
  readonly start: number;
  /** One past the last index. */
  readonly end: number;
  /**
   * Copies even if a view is possible. A loop along the axis then binds the same buffers each time; a view's offset would
   * change the binding.
   */
  readonly copy?: boolean;
}

/**
 * The part of `x` with `start <= index < end` along an axis: along the first axis a view if the adapter's alignment allows
 * it, otherwise a copy.
 *
 * @throws {RangeError} when the bounds leave the axis.
 */
export function slice(x: Tensor, options: SliceOptions): Tensor {
  const axis = normalizeAxis(options.axis ?? 0, x.ndim);
  const { start, end } = options;
  const extent = x.shape[axis]!;
  if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= extent)) {
    throw new RangeError(
      `Cannot slice axis ${axis} of ${
        formatShape(x.shape)
      } from ${start} to ${end}: expected 0 <= start <= end <= ${extent}`,
    );
  }
  const shape = x.shape.map((each, i) => i === axis ? end - start : each);
  const strides = stridesOf(x.shape);
  const offset = start * strides[axis]!;
  const aligned = ((x.offset + offset) * 4) % x.gpu.bindingAlignment === 0;
  const outerIsOne = sizeOf(x.shape.slice(0, axis)) === 1;
  const result = !options.copy && outerIsOne && aligned && end > start && !isStorageOnly(x.dtype)
    ? new Tensor(x.gpu, x.storage, { shape, dtype: x.dtype, offset: x.offset + offset })
    : gatherView(x, { shape, strides, offset });
  return record(result, [x], [(dy) => {
    const dx = zeros(x.gpu, x.shape);
    scatterView(dy, dx, { shape, strides, offset });
    return dx;
  }]);
}

/** Options of {@linkcode concat}. */
export interface ConcatOptions {
  /** Axis to join along; 0 by default. */
  readonly axis?: number;
}

/**
 * Joins tensors along an axis.
 *
 * @throws {TypeError} when other extents or element types differ.
 */
export function concat(parts: readonly Tensor[], options: ConcatOptions = {}): Tensor {
  const first = parts[0];
  if (first === undefined) throw new TypeError("Cannot concat no tensors: expected at least one");
  const axis = normalizeAxis(options.axis ?? 0, first.ndim);
  for (const part of parts) {
    const fits = part.dtype === first.dtype && part.ndim === first.ndim &&
      part.shape.every((extent, i) => i === axis || extent === first.shape[i]);
    if (!fits) {
      throw new TypeError(
        `Cannot concat ${formatShape(first.shape)} and ${
          formatShape(part.shape)
        } along axis ${axis}: other extents must agree`,
      );
    }
  }
  const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  const result = empty(first.gpu, first.shape.map((extent, i) => i === axis ? total : extent), first.dtype);
  const strides = stridesOf(result.shape);
  let start = 0;
  const rules = parts.map((part) => {
    const from = start;
    start += part.shape[axis]!;
    scatterView(part, result, { shape: part.shape, strides, offset: from * strides[axis]! });
    return (dy: Tensor) => slice(dy, { axis, start: from, end: from + part.shape[axis]! });
  });
  return record(result, parts, rules);
}

/**
 * Repeats `x` along missing axes and axes of extent 1.
 *
 * @throws {TypeError} when `x` doesn't broadcast to `shape`.
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (!canBroadcast(x.shape, shape)) {
    throw new TypeError(
      `Cannot broadcast ${formatShape(x.shape)} to ${formatShape(shape)}: extents must be equal or 1`,
    );
  }
  const result = gatherView(x, { shape, strides: broadcastStrides(x.shape, shape) });
  return record(result, [x], [(dy) => dy]);
}
