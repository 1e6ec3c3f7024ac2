import source from "../../../shaders/reduction/layer_norm.wgsl";
import { isRecording, record } from "../../autograd.ts";
import { f32Bits } from "../../gpu/device.ts";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands, launch } from "../launch.ts";
import { reduceMiddle } from "./reduction.ts";
import { launchRows, rowConstants } from "./row_launch.ts";
import { reshape } from "../shape.ts";

const forwardKernel = new Kernel({
  name: "layer_norm",
  source,
  bindings: ["read", "read", "read", "write", "write"],
});
const gradientKernel = new Kernel({
  name: "layer_norm_gradient",
  source,
  entry: "gradient",
  bindings: ["read", "read", "read", "read", "write"],
});
const affineKernel = new Kernel({
  name: "layer_norm_affine_gradient",
  source,
  entry: "affine_gradient",
  bindings: ["read", "write", "read", "read", "write"],
});

/**
 * Rows that one thread sums for the gradients of γ and β. Always the same, counted from the first row that the
 * parameters apply to: the order of a member's sums depends on its own rows alone, and rows appended with a gradient of
 * zero change nothing.
 */
const chunkRows = 32;

/** Parameters of {@linkcode layerNorm}. */
export interface LayerNormOptions {
  /** Scale γ: [D], or [C, D] with one row for each entry of the first axis of x. */
  readonly weight: Tensor;
  /** Shift β, shaped as the weight. */
  readonly bias: Tensor;
  /** Added to the variance; 1e-5 by default. */
  readonly epsilon?: number;
}

/**
 * Layer normalisation over the last axis (Ba et al., arXiv 1607.06450): (x − μ)/√(σ² + ε)·γ + β, with the variance in
 * a second pass.
 *
 * @throws {TypeError} when γ and β don't fit x.
 */
export function layerNorm(x: Tensor, options: LayerNormOptions): Tensor {
  const { weight, bias, epsilon = 1e-5 } = options;
  checkOperands("normalise", [x, weight, bias]);
  const columns = x.shape.at(-1) ?? 0;
  const [gammaRows, betaRows] = [weight, bias].map((affine) => {
    const fits = affine.shape.at(-1) === columns && columns > 0 &&
      (affine.ndim === 1 || (affine.ndim === 2 && affine.shape[0] === x.shape[0]));
    if (!fits) {
      throw new TypeError(
        `Cannot normalise ${formatShape(x.shape)} with weight or bias of ${
          formatShape(affine.shape)
        }: expected [${columns}] or [${x.shape[0]}, ${columns}]`,
      );
    }
    return affine.size / columns;
  });
  if (gammaRows !== betaRows) {
    throw new TypeError(
      `Cannot normalise with weight ${formatShape(weight.shape)} and bias ${
        formatShape(bias.shape)
      }: shapes must agree`,
    );
  }
  const affines = gammaRows!;
  const rows = sizeOf(x.shape.slice(0, -1));
  const rowsPerAffine = Math.max(1, rows / affines);
  const chunks = Math.ceil(rowsPerAffine / chunkRows);
  const params = [rows, columns, rowsPerAffine, f32Bits(epsilon), affines, chunks, chunkRows] as const;
  const y = empty(x.gpu, x.shape);
  const stats = empty(x.gpu, [rows, 2]);
  launchRows(forwardKernel, { tensors: [x, weight, bias, y, stats], params });
  if (!isRecording(x, weight, bias)) {
    stats.dispose();
    return y;
  }
  return record(y, [x, weight, bias], gradients, [x, weight]);

  function gradients(dy: Tensor, wanted: readonly number[], into: readonly (Tensor | undefined)[]): Tensor[] {
    const affine = wanted.some((input) => input > 0) ? affineGradients() : [];
    return wanted.map((input, i) => input === 0 ? gradient(into[i]) : finish(affine[input - 1]!, into[i]));

    function gradient(dx = empty(x.gpu, x.shape)): Tensor {
      launchRows(gradientKernel, { tensors: [x, weight, stats, dy, dx], params });
      return dx;
    }

    /** dγ and dβ, each as its sums over chunks of rows. */
    function affineGradients(): [Tensor, Tensor] {
      const parts = () => empty(x.gpu, [affines, chunks, columns]);
      const [dGamma, dBeta] = [parts(), parts()];
      launch(affineKernel, {
        tensors: [x, dGamma, stats, dy, dBeta],
        params,
        threads: affines * chunks * Math.ceil(columns / 4),
        constants: rowConstants(x, columns),
      });
      return [dGamma, dBeta];
    }

    function finish(parts: Tensor, target?: Tensor): Tensor {
      const total = chunks === 1
        ? parts
        : reduceMiddle(parts, { op: "SUM", extents: [affines, chunks, columns], into: target });
      return total === target ? total : reshape(total, weight.shape);
    }
  }
}
