import source from "../../../shaders/reduction/softmax.wgsl";
import { record } from "../../autograd.ts";
import { f32Bits } from "../../gpu/device.ts";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands } from "../launch.ts";
import { launchRows } from "./row_launch.ts";

const softmaxKernel = new Kernel({
  name: "softmax",
  source,
  bindings: ["read", "read", "write"],
});
const gradientKernel = new Kernel({
  name: "softmax_gradient",
  source,
  entry: "gradient",
  bindings: ["read", "read", "write"],
});

/** Softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  const y = softmaxForward(x, {});
  return record(y, [x], [(dy) => softmaxGradient(y, dy, {})]);
}

/** Logarithm of the softmax over the last axis, accurate where the softmax itself would underflow. */
export function logSoftmax(x: Tensor): Tensor {
  const y = softmaxForward(x, { log: true });
  return record(y, [x], [(dy) => softmaxGradient(y, dy, { log: true })]);
}

/** Options of {@linkcode softmaxForward}. */
export interface SoftmaxForwardOptions {
  readonly log?: boolean;
  /** Multiplies x first; 1 by default. */
  readonly scale?: number;
  /** Added to scale·x: each row of the mask to `rows of x / rows of mask` neighbouring rows of x. */
  readonly mask?: Tensor;
}

/** softmax(scale·x + mask) over the last axis, or its logarithm; not recorded. */
export function softmaxForward(x: Tensor, options: SoftmaxForwardOptions): Tensor {
  const { log = false, scale = 1, mask } = options;
  checkOperands("take the softmax of", mask ? [x, mask] : [x]);
  const columns = x.shape.at(-1);
  if (!columns) {
    if (x.size === 0 && columns === 0) {
      throw new RangeError(`Cannot take the softmax of ${formatShape(x.shape)} over an empty axis`);
    }
    throw new TypeError("Cannot take the softmax of a scalar: expected at least one axis");
  }
  const rows = x.size / columns;
  const maskRows = mask ? mask.size / columns : 1;
  if (mask && (mask.shape.at(-1) !== columns || rows % maskRows !== 0)) {
    throw new TypeError(
      `Cannot mask ${formatShape(x.shape)} by ${
        formatShape(mask.shape)
      }: last axes must agree and rows divide`,
    );
  }
  const y = empty(x.gpu, x.shape);
  launchRows(softmaxKernel, {
    tensors: [x, mask ?? x, y],
    params: [rows, columns, rows / maskRows, f32Bits(scale)],
    constants: { LOG: log, MASKED: mask !== undefined },
  });
  return y;
}

/** Gradient of {@linkcode softmaxForward} by x, from its result `y`; not recorded. */
export function softmaxGradient(
  y: Tensor,
  dy: Tensor,
  options: { readonly log?: boolean; readonly scale?: number },
): Tensor {
  const { log = false, scale = 1 } = options;
  const columns = y.shape.at(-1)!;
  const dx = empty(y.gpu, y.shape);
  launchRows(gradientKernel, {
    tensors: [y, dy, dx],
    params: [y.size / columns, columns, 1, f32Bits(scale)],
    constants: { LOG: log, MASKED: false },
  });
  return dx;
}
