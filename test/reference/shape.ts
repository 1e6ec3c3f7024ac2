import {
  broadcastSource,
  F64Array,
  normalizeAxis,
  scatterAdd,
  sizeOf,
  stridedSource,
  stridesOf,
  sumToShape,
  take,
} from "./array.ts";

/** Same elements, other shape. Its gradient is a reshape back. */
export function reshape(x: F64Array, shape: readonly number[]): F64Array {
  return F64Array.from(shape, x.data);
}

/** Axis `i` of the result is axis `axes[i]` of `x`. */
export function permute(x: F64Array, axes: readonly number[]): F64Array {
  const strides = stridesOf(x.shape);
  const shape = axes.map((axis) => x.shape[axis]!);
  return take(x, shape, stridedSource(shape, axes.map((axis) => strides[axis]!)));
}

/** Gradient of {@link permute}: the inverse permutation. */
export function permuteGradient(axes: readonly number[], dy: F64Array): F64Array {
  return permute(dy, axes.map((_, axis) => axes.indexOf(axis)));
}

/** Swaps the last two axes. */
export function transpose(x: F64Array): F64Array {
  const ndim = x.shape.length;
  return permute(
    x,
    [...x.shape.keys()].map((axis) => axis === ndim - 1 ? ndim - 2 : axis === ndim - 2 ? ndim - 1 : axis),
  );
}

/** Elements from `starts[axis]` up to but not including `ends[axis]`, on every axis. */
export function slice(x: F64Array, starts: readonly number[], ends: readonly number[]): F64Array {
  return take(x, starts.map((start, axis) => ends[axis]! - start), sliceSource(x.shape, starts, ends));
}

/** Gradient of {@link slice}: zero outside it. */
export function sliceGradient(
  shape: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  dy: F64Array,
): F64Array {
  return scatterAdd(dy, shape, sliceSource(shape, starts, ends));
}

/** Joins arrays that agree on every other axis. */
export function concat(arrays: readonly F64Array[], axis: number): F64Array {
  const at = normalizeAxis(axis, arrays[0]!.shape.length);
  const shape = arrays[0]!.shape.with(at, arrays.reduce((sum, array) => sum + array.shape[at]!, 0));
  const outer = sizeOf(shape.slice(0, at));
  const values: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (const array of arrays) {
      values.push(...array.data.subarray(o * array.size / outer, (o + 1) * array.size / outer));
    }
  }
  return F64Array.from(shape, values);
}

/** Gradients of {@link concat}: each operand's own slice. */
export function concatGradient(
  shapes: readonly (readonly number[])[],
  axis: number,
  dy: F64Array,
): F64Array[] {
  const at = normalizeAxis(axis, dy.shape.length);
  let start = 0;
  return shapes.map((shape) => {
    const starts = shape.map((_, i) => i === at ? start : 0);
    start += shape[at]!;
    return slice(dy, starts, shape.with(at, start));
  });
}

/** Repeats axes of extent 1, and adds leading ones, up to `shape`. */
export function broadcastTo(x: F64Array, shape: readonly number[]): F64Array {
  return take(x, shape, broadcastSource(x.shape, shape));
}

/** Gradient of {@link broadcastTo}: the sum over the repeated axes. */
export function broadcastToGradient(shape: readonly number[], dy: F64Array): F64Array {
  return sumToShape(dy, shape);
}

/**
 * torch's `gather`: `result[i][j][k] = x[i][indices[i][j][k]][k]` for axis 1. `indices` has the axes of `x` and may be
 * shorter on the other axes.
 */
export function gather(x: F64Array, indices: F64Array, axis: number): F64Array {
  return take(x, indices.shape, gatherSource(x.shape, indices, axis));
}

/** Gradient of {@link gather}; an element gathered twice gets both gradients. */
export function gatherGradient(
  shape: readonly number[],
  indices: F64Array,
  axis: number,
  dy: F64Array,
): F64Array {
  return scatterAdd(dy, shape, gatherSource(shape, indices, axis));
}

/** torch's `index_select`: whole slices along `axis`, in the order of `indices`. */
export function indexSelect(x: F64Array, indices: readonly number[], axis: number): F64Array {
  const source = indexSelectSource(x.shape, indices, axis);
  return take(x, x.shape.with(normalizeAxis(axis, x.shape.length), indices.length), source);
}

/** Gradient of {@link indexSelect}; a slice selected twice gets both gradients. */
export function indexSelectGradient(
  shape: readonly number[],
  indices: readonly number[],
  axis: number,
  dy: F64Array,
): F64Array {
  return scatterAdd(dy, shape, indexSelectSource(shape, indices, axis));
}

/** Index of the first largest element along `axis`, which is removed. It has no gradient. */
export function argmax(x: F64Array, axis: number): F64Array {
  const at = normalizeAxis(axis, x.shape.length);
  const order = [...x.shape.keys()].filter((i) => i !== at);
  const rows = permute(x, [...order, at]);
  const length = x.shape[at]!;
  return F64Array.full(order.map((i) => x.shape[i]!)).map((_, row) => {
    const values = rows.data.subarray(row * length, (row + 1) * length);
    return values.reduce((best, value, i) => value > values[best]! ? i : best, 0);
  });
}

function sliceSource(
  shape: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
): Int32Array {
  const strides = stridesOf(shape);
  const offset = starts.reduce((sum, start, axis) => sum + start * strides[axis]!, 0);
  return stridedSource(starts.map((start, axis) => ends[axis]! - start), strides, offset);
}

function gatherSource(shape: readonly number[], indices: F64Array, axis: number): Int32Array {
  const at = normalizeAxis(axis, shape.length);
  const strides = stridesOf(shape);
  const source = stridedSource(indices.shape, strides.with(at, 0));
  return source.map((base, i) => base + indices.data[i]! * strides[at]!);
}

function indexSelectSource(shape: readonly number[], indices: readonly number[], axis: number): Int32Array {
  const at = normalizeAxis(axis, shape.length);
  const selected = shape.with(at, indices.length);
  const positions = stridedSource(selected, selected.map((_, i) => i === at ? 1 : 0));
  return gatherSource(shape, F64Array.from(selected, positions).map((position) => indices[position]!), at);
}
