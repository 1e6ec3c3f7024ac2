/** Extents of a tensor, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i]!;
  }
  return strides;
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** A shape as text, as in `[2, 3]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/**
 * The shape that several shapes broadcast to: aligned at the last axis, extents equal or 1.
 *
 * @throws {TypeError} when they don't agree.
 */
export function broadcastShapes(...shapes: readonly Shape[]): number[] {
  const ndim = Math.max(...shapes.map((shape) => shape.length));
  const result = new Array<number>(ndim).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const axis = ndim - shape.length + i;
      const extent = shape[i]!;
      if (extent === 1 || extent === result[axis]) continue;
      if (result[axis] !== 1) {
        throw new TypeError(
          `Cannot broadcast shapes: extents must be equal or 1, got ${shapes.map(formatShape).join(" and ")}`,
        );
      }
      result[axis] = extent;
    }
  }
  return result;
}

/** Whether a shape broadcasts to another: it has no more axes, and extents that are equal or 1. */
export function canBroadcast(from: Shape, to: Shape): boolean {
  const missing = to.length - from.length;
  return missing >= 0 && from.every((extent, i) => extent === 1 || extent === to[missing + i]);
}

/**
 * An axis counted from the front; negative ones count from the back.
 *
 * @throws {RangeError} when it's outside the shape.
 */
export function normalizeAxis(axis: number, ndim: number): number {
  const normalized = axis < 0 ? axis + ndim : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= ndim) {
    throw new RangeError(`Cannot use axis ${axis}: expected an integer from ${-ndim} to ${ndim - 1}`);
  }
  return normalized;
}

/** Merges neighbouring axes that all of several stride lists traverse as one. Keeps at least one axis. */
export function collapseAxes(shape: Shape, strideLists: readonly (readonly number[])[]): {
  shape: number[];
  strideLists: number[][];
} {
  const kept: number[] = [];
  const lists: number[][] = strideLists.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    const extent = shape[axis]!;
    if (extent === 1) continue;
    const last = kept.length - 1;
    const joins = last >= 0 && lists.every((list, i) => list[last] === strideLists[i]![axis]! * extent);
    if (joins) {
      kept[last]! *= extent;
      lists.forEach((list, i) => list[last] = strideLists[i]![axis]!);
    } else {
      kept.push(extent);
      lists.forEach((list, i) => list.push(strideLists[i]![axis]!));
    }
  }
  if (kept.length === 0) {
    kept.push(1);
    lists.forEach((list) => list.push(0));
  }
  return { shape: kept, strideLists: lists };
}

/** Strides that read a tensor of shape `from` as if it had shape `to`: 0 along broadcast axes. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, axis) => axis < missing || from[axis - missing] === 1 ? 0 : own[axis - missing]!);
}
