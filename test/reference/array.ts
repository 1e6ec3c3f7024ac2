/**
 * A dense float64 array, row-major and contiguous: the one data type of the CPU oracles.
 *
 * @example
 * ```ts
 * const x = F64Array.fromF32([2, 2], [0.1, 0.2, 0.3, 0.4]);
 * x.data[0] === Math.fround(0.1);
 * ```
 */
export class F64Array {
  readonly shape: readonly number[];
  readonly data: Float64Array;

  /** @throws {RangeError} when the number of values is not the product of the shape */
  constructor(shape: readonly number[], data: Float64Array) {
    if (data.length !== sizeOf(shape)) {
      throw new RangeError(`Cannot build an array of shape [${shape.join(", ")}] from ${data.length} values`);
    }
    this.shape = shape;
    this.data = data;
  }

  /** Copies `values` as they are. */
  static from(shape: readonly number[], values: ArrayLike<number>): F64Array {
    return new F64Array([...shape], Float64Array.from(values));
  }

  /** Copies `values` rounded to float32, so that a kernel can be given exactly the same input. */
  static fromF32(shape: readonly number[], values: ArrayLike<number>): F64Array {
    return new F64Array([...shape], Float64Array.from(values, Math.fround));
  }

  /** All zeros, or all `value`. */
  static full(shape: readonly number[], value = 0): F64Array {
    return new F64Array([...shape], new Float64Array(sizeOf(shape)).fill(value));
  }

  /** Number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** A new array of the same shape with `f` applied to every element. */
  map(f: (value: number, index: number) => number): F64Array {
    return new F64Array(this.shape, this.data.map(f));
  }

  /** The elements rounded to float32, for upload. */
  toF32(): Float32Array<ArrayBuffer> {
    return new Float32Array(this.data);
  }

  /** Shape and first elements: what fast-check prints of a counterexample. */
  toString(): string {
    const head = Array.from(this.data.subarray(0, 8)).join(", ");
    return `F64Array([${this.shape.join(", ")}], [${head}${this.size > 8 ? ", …" : ""}])`;
  }
}

/** Product of the extents; 1 for a scalar's empty shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

/**
 * Resolves a possibly negative axis against a number of axes.
 *
 * @throws {RangeError} when the axis lies outside [-ndim, ndim)
 */
export function normalizeAxis(axis: number, ndim: number): number {
  if (!Number.isInteger(axis) || axis < -ndim || axis >= ndim) {
    throw new RangeError(`Cannot use axis ${axis} of an array of ${ndim} axes`);
  }
  return axis < 0 ? axis + ndim : axis;
}

/**
 * For every element of a strided view, in row-major order of `shape`, its flat index in the source.
 * Broadcasting is a stride of 0, a permutation is permuted strides, a slice is an offset.
 */
export function stridedSource(shape: readonly number[], strides: readonly number[], offset = 0): Int32Array {
  let source = Int32Array.of(offset);
  shape.forEach((extent, axis) => {
    const stride = strides[axis]!;
    const longer = new Int32Array(source.length * extent);
    for (let i = 0; i < longer.length; i++) {
      longer[i] = source[Math.floor(i / extent)]! + (i % extent) * stride;
    }
    source = longer;
  });
  return source;
}

/**
 * Shape of a broadcast result: axes aligned at the right, extents equal or 1.
 *
 * @throws {TypeError} when two extents differ and neither is 1
 */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  const ndim = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: ndim }, (_, axis) => {
    const extents = shapes.map((shape) => shape[axis - ndim + shape.length] ?? 1);
    const extent = extents.find((candidate) => candidate !== 1) ?? 1;
    if (extents.some((candidate) => candidate !== 1 && candidate !== extent)) {
      throw new TypeError(
        `Cannot broadcast shapes ${shapes.map((shape) => `[${shape.join(", ")}]`).join(" and ")}`,
      );
    }
    return extent;
  });
}

/** For every element of `target`, the flat index of the element of `shape` that is broadcast to it. */
export function broadcastSource(shape: readonly number[], target: readonly number[]): Int32Array {
  if (String(broadcastShapes(shape, target)) !== String(target)) {
    throw new TypeError(`Cannot broadcast [${shape.join(", ")}] to [${target.join(", ")}]`);
  }
  const missing = target.length - shape.length;
  const strides = stridesOf(shape);
  return stridedSource(
    target,
    target.map((_, axis) => (shape[axis - missing] ?? 1) === 1 ? 0 : strides[axis - missing]!),
  );
}

/** `result[i] = x[source[i]]`, shaped `shape`. */
export function take(x: F64Array, shape: readonly number[], source: Int32Array): F64Array {
  return new F64Array([...shape], Float64Array.from(source, (index) => x.data[index]!));
}

/** The vector-Jacobian product of {@link take}: adds `dy[i]` to `result[source[i]]`, shaped `shape`. */
export function scatterAdd(dy: F64Array, shape: readonly number[], source: Int32Array): F64Array {
  const result = F64Array.full(shape);
  source.forEach((index, i) => result.data[index]! += dy.data[i]!);
  return result;
}

/** Sums `dy` over the axes along which `shape` was broadcast. */
export function sumToShape(dy: F64Array, shape: readonly number[]): F64Array {
  return scatterAdd(dy, shape, broadcastSource(shape, dy.shape));
}
