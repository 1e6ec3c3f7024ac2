import { F64Array, normalizeAxis, sizeOf, stridedSource, stridesOf } from "./array.ts";

/** A reduction of a list of numbers, and its partial derivative by each of them. */
export interface ReduceRule {
  readonly forward: (values: Float64Array) => number;
  readonly partials: (values: Float64Array) => Float64Array;
}

/** Which axes to reduce. */
export interface ReduceOptions {
  /** Axes, negative ones counted from the end; all of them by default. */
  readonly axes?: readonly number[];
  /** Keeps reduced axes with extent 1; false by default. */
  readonly keepDims?: boolean;
}

/**
 * Reductions by name. A tie of `max` gives the whole gradient to the first maximal element. Of no elements, the sum
 * is 0, the mean NaN, max and logSumExp −∞.
 */
export const REDUCTION = {
  sum: {
    forward: (values) => values.reduce((sum, value) => sum + value, 0),
    partials: (values) => values.map(() => 1),
  },
  mean: {
    forward: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
    partials: (values) => values.map(() => 1 / values.length),
  },
  max: {
    forward: (values) => values.reduce((max, value) => Math.max(max, value), -Infinity),
    partials(values) {
      const first = values.indexOf(values.reduce((max, value) => Math.max(max, value), -Infinity));
      return values.map((_, i) => i === first ? 1 : 0);
    },
  },
  logSumExp: {
    forward: logSumExp,
    partials: (values) => values.map((value) => Math.exp(value - logSumExp(values))),
  },
} as const satisfies Record<string, ReduceRule>;

/** Name of a reduction oracle. */
export type ReductionName = keyof typeof REDUCTION;

/** log Σ e^x, shifted by the largest element so that nothing overflows. */
export function logSumExp(values: Float64Array): number {
  const max = values.reduce((largest, value) => Math.max(largest, value), -Infinity);
  if (!Number.isFinite(max)) return max;
  return max + Math.log(values.reduce((sum, value) => sum + Math.exp(value - max), 0));
}

/** Reduces `x` over a set of axes. */
export function reduce(name: ReductionName, x: F64Array, options: ReduceOptions = {}): F64Array {
  const { shape, groups } = groupsOf(x, options);
  return F64Array.from(shape, groups.map((group) => REDUCTION[name].forward(group.map((i) => x.data[i]!))));
}

/** Gradient of `x` under {@link reduce}; `dy` may have the shape with or without kept axes. */
export function reduceGradient(
  name: ReductionName,
  x: F64Array,
  dy: F64Array,
  options: ReduceOptions = {},
): F64Array {
  const dx = F64Array.full(x.shape);
  groupsOf(x, options).groups.forEach((group, g) => {
    const partials = REDUCTION[name].partials(group.map((i) => x.data[i]!));
    group.forEach((index, i) => dx.data[index] = dy.data[g]! * partials[i]!);
  });
  return dx;
}

/** The flat indices (held in float64 to be mapped to values) that make up each element of the result. */
function groupsOf(x: F64Array, options: ReduceOptions): { shape: number[]; groups: Float64Array[] } {
  const all = x.shape.map((_, axis) => axis);
  const reduced = new Set((options.axes ?? all).map((axis) => normalizeAxis(axis, x.shape.length)));
  const kept = all.filter((axis) => !reduced.has(axis));
  const order = [...kept, ...all.filter((axis) => reduced.has(axis))];
  const strides = stridesOf(x.shape);
  const source = stridedSource(order.map((axis) => x.shape[axis]!), order.map((axis) => strides[axis]!));
  const count = sizeOf(kept.map((axis) => x.shape[axis]!));
  const length = sizeOf([...reduced].map((axis) => x.shape[axis]!));
  return {
    shape: options.keepDims
      ? x.shape.map((extent, axis) => reduced.has(axis) ? 1 : extent)
      : kept.map((axis) => x.shape[axis]!),
    groups: Array.from(
      { length: count },
      (_, g) => Float64Array.from(source.subarray(g * length, (g + 1) * length)),
    ),
  };
}
