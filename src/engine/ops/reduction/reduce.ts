import source from "../../../shaders/reduction/reduce.wgsl";
import { record } from "../../autograd.ts";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape, normalizeAxis, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { tidy } from "../../tidy.ts";
import { checkOperands, launch } from "../launch.ts";
import { reduceAxes, reduceMiddle } from "./reduction.ts";
import { scoped } from "../scoped.ts";
import { add, exp, log, mul, sub } from "../elementwise.ts";
import { broadcastTo, reshape } from "../shape.ts";

const argmaxKernel = new Kernel({ name: "argmax", source, entry: "argmax", bindings: ["read", "write"] });
const maxGradientKernel = new Kernel({
  name: "max_gradient",
  source,
  entry: "max_gradient",
  bindings: ["read", "read", "read", "write"],
});

/** Options of the reductions. */
export interface ReduceOptions {
  /** Axes to reduce, negative from the back; all by default. */
  readonly axes?: readonly number[];
  /** Keeps reduced axes with extent 1. */
  readonly keepDims?: boolean;
}

function axesOf(x: Tensor, options: ReduceOptions): number[] {
  const axes = (options.axes ?? x.shape.map((_, i) => i)).map((axis) => normalizeAxis(axis, x.ndim));
  if (new Set(axes).size !== axes.length) {
    throw new TypeError(`Cannot reduce axes ${formatShape(axes)}: an axis occurs twice`);
  }
  return axes.sort((a, b) => a - b);
}

/** The result's shape with and without the reduced axes. */
function reducedShapes(x: Tensor, axes: readonly number[], options: ReduceOptions) {
  const kept = x.shape.map((extent, i) => axes.includes(i) ? 1 : extent);
  return { kept, shape: options.keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i)) };
}

function assertNotEmpty(operation: string, x: Tensor, axes: readonly number[]): void {
  if (axes.some((axis) => x.shape[axis] === 0)) {
    throw new RangeError(`Cannot take the ${operation} of shape ${formatShape(x.shape)} over an empty axis`);
  }
}

/** Sum over axes. The sum over no elements is 0. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOperands("sum", [x]);
  const axes = axesOf(x, options);
  const { kept, shape } = reducedShapes(x, axes, options);
  const result = tidy(() => reshape(axes.length === 0 ? x : reduceAxes(x, axes, "SUM"), shape));
  result.node = null;
  return record(result, [x], [(dy) => broadcastTo(reshape(dy, kept), x.shape)]);
}

/** Sum of squares over axes, without a gradient rule; for norms. */
export function sumOfSquares(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOperands("sum squares of", [x]);
  const axes = axesOf(x, options);
  if (axes.length === 0) throw new TypeError("Cannot sum squares over no axes: name at least one");
  return tidy(() =>
    reshape(reduceAxes(x, axes, "SUM_OF_SQUARES"), reducedShapes(x, axes, options).shape).detach()
  );
}

/**
 * Mean over axes.
 *
 * @throws {RangeError} over an empty axis.
 */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf(x, options);
  assertNotEmpty("mean", x, axes);
  return scoped([x], () => mul(sum(x, options), 1 / sizeOf(axes.map((axis) => x.shape[axis]!))));
}

/**
 * Maximum over axes; the gradient goes to the first maximal element.
 *
 * @throws {RangeError} over an empty axis.
 */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOperands("take the maximum of", [x]);
  const axes = axesOf(x, options);
  assertNotEmpty("maximum", x, axes);
  if (axes.length === 0) return reshape(x, x.shape);
  return scoped([x], () => maxOver(x, axes, options));
}

/** Runs of neighbouring axes are reduced one after the other, each with its own rule. */
function maxOver(x: Tensor, axes: readonly number[], options: ReduceOptions): Tensor {
  let first = axes.length - 1;
  while (first > 0 && axes[first - 1] === axes[first]! - 1) first--;
  const run = axes.slice(first);
  const others = axes.slice(0, first);
  const from = run[0]!;
  const to = run.at(-1)! + 1;
  const extents = [
    sizeOf(x.shape.slice(0, from)),
    sizeOf(x.shape.slice(from, to)),
    sizeOf(x.shape.slice(to)),
  ] as const;
  const { shape } = reducedShapes(x, run, { keepDims: true });
  const peak = tidy(() => reshape(reduceMiddle(x, { op: "MAX", extents }), shape));
  record(peak, [x], [(dy) => maxGradient(x, { peak, dy, extents })]);
  const rest = others.length > 0 ? max(peak, { axes: others, keepDims: true }) : peak;
  return options.keepDims ? rest : reshape(rest, reducedShapes(x, axes, options).shape);
}

function maxGradient(
  x: Tensor,
  { peak, dy, extents }: { peak: Tensor; dy: Tensor; extents: readonly [number, number, number] },
): Tensor {
  const dx = empty(x.gpu, x.shape);
  const [outer, length, inner] = extents;
  launch(maxGradientKernel, {
    tensors: [x, peak, dy, dx],
    params: [outer, length, inner, 1, length],
    threads: outer * inner,
    constants: { OP: "MAX", VEC: false },
  });
  return dx;
}

/** log Σ e^x over axes, shifted by the maximum so that nothing overflows. */
export function logSumExp(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf(x, options);
  const { kept, shape } = reducedShapes(x, axes, options);
  const result = tidy(() => {
    const peak = max(x.detach(), { axes, keepDims: true });
    return reshape(add(log(sum(exp(sub(x.detach(), peak)), { axes, keepDims: true })), peak), shape);
  });
  return record(result, [x], [(dy) => mul(exp(sub(x, reshape(result, kept))), reshape(dy, kept))]);
}

/**
 * Index of the first maximum along an axis, as u32.
 *
 * @throws {RangeError} over an empty axis.
 */
export function argmax(x: Tensor, options: { readonly axis?: number } = {}): Tensor {
  checkOperands("take the argmax of", [x]);
  const axis = normalizeAxis(options.axis ?? -1, x.ndim);
  assertNotEmpty("argmax", x, [axis]);
  const extents = [sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))] as const;
  const result = empty(x.gpu, x.shape.filter((_, i) => i !== axis), "u32");
  launch(argmaxKernel, {
    tensors: [x, result],
    params: [...extents, 1, extents[1]],
    threads: result.size,
    constants: { OP: "MAX", VEC: false },
  });
  return result;
}
