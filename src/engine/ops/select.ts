import gatherSource from "../../shaders/gather.wgsl";
import selectSource from "../../shaders/select.wgsl";
import { record } from "../autograd.ts";
import { Kernel } from "../gpu/kernel.ts";
import { broadcastShapes, formatShape, normalizeAxis, sameShape, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { checkOperands, launch } from "./launch.ts";
import { zeros } from "./create.ts";
import { broadcastTo } from "./shape.ts";

const selectKernel = new Kernel({
  name: "select",
  source: selectSource,
  bindings: ["read", "read", "read", "write"],
});
const gatherKernel = new Kernel({
  name: "gather",
  source: gatherSource,
  entry: "forward",
  bindings: ["read", "read", "write"],
});
const gatherGradientKernel = new Kernel({
  name: "gather_gradient",
  source: gatherSource,
  entry: "gradient",
  bindings: ["read", "read", "write"],
});

/** The two sides of {@linkcode where}. */
export interface WhereOptions {
  /** Used where the condition isn't 0. */
  readonly then: Tensor;
  /** Used where it is 0. */
  readonly otherwise: Tensor;
}

/** Elements of `then` where `condition` isn't 0, of `otherwise` where it is; broadcast. */
export function where(condition: Tensor, options: WhereOptions): Tensor {
  const { then, otherwise } = options;
  checkOperands("select from", [condition, then, otherwise]);
  const shape = broadcastShapes(condition.shape, then.shape, otherwise.shape);
  const pick = (a: Tensor, b: Tensor) =>
    tidy(() => {
      const result = empty(condition.gpu, shape);
      const tensors = [condition, a, b].map((each) => broadcastTo(each.detach(), shape));
      launch(selectKernel, {
        tensors: [...tensors, result],
        params: [result.size],
        threads: Math.ceil(result.size / 4),
      });
      return result;
    });
  return record(pick(then, otherwise), [then, otherwise], [
    (dy) => pick(dy, zeros(dy.gpu, [])),
    (dy) => pick(zeros(dy.gpu, []), dy),
  ]);
}

/** Options of {@linkcode gather}. */
export interface GatherOptions {
  /** Axis the indices count along; 0 by default. */
  readonly axis?: number;
}

/**
 * Picks elements along an axis: `y[…, p, …] = x[…, index[…, p, …], …]`. `index` is u32 with the shape of `x` but for
 * that axis. An index outside the axis gives NaN.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function gather(x: Tensor, index: Tensor, options: GatherOptions = {}): Tensor {
  const axis = normalizeAxis(options.axis ?? 0, x.ndim);
  checkOperands("gather from", [x]);
  checkOperands("gather by", [index], "u32");
  if (index.ndim !== x.ndim || index.shape.some((extent, i) => i !== axis && extent !== x.shape[i])) {
    throw new TypeError(
      `Cannot gather from ${formatShape(x.shape)} by ${
        formatShape(index.shape)
      } along axis ${axis}: other extents must agree`,
    );
  }
  const params = [
    sizeOf(x.shape.slice(0, axis)),
    x.shape[axis]!,
    sizeOf(x.shape.slice(axis + 1)),
    index.shape[axis]!,
  ];
  const y = empty(x.gpu, index.shape);
  launch(gatherKernel, { tensors: [index, x, y], params, threads: y.size });
  return record(y, [x], [(dy) => {
    const dx = empty(x.gpu, x.shape);
    launch(gatherGradientKernel, { tensors: [index, dy, dx], params, threads: dx.size });
    return dx;
  }]);
}

/** Options of {@linkcode scatter}. */
export interface ScatterOptions extends GatherOptions {
  /** Extent of the result along the axis. */
  readonly length: number;
}

/**
 * Puts elements at places along an axis, zeros elsewhere: `y[…, r, …] = Σ_p x[…, p, …]` where `index[…, p, …] = r`, p in order. `index`
 * is u32 with the shape of `x`; an index outside the axis goes nowhere. Takes a gradient to none of its operands.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function scatter(x: Tensor, index: Tensor, options: ScatterOptions): Tensor {
  const { length } = options;
  const axis = normalizeAxis(options.axis ?? 0, x.ndim);
  checkOperands("scatter", [x]);
  checkOperands("scatter by", [index], "u32");
  if (!sameShape(index.shape, x.shape)) {
    throw new TypeError(
      `Cannot scatter ${formatShape(x.shape)} by ${
        formatShape(index.shape)
      }: expected indices of the same shape`,
    );
  }
  const y = empty(x.gpu, x.shape.with(axis, length));
  const params = [sizeOf(x.shape.slice(0, axis)), length, sizeOf(x.shape.slice(axis + 1)), x.shape[axis]!];
  launch(gatherGradientKernel, { tensors: [index, x, y], params, threads: y.size });
  return y;
}
