import source from "../../shaders/layer_norm.wgsl";
import { isRecording, record } from "../autograd.ts";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { checkOperands, launch } from "./launch.ts";
import { reshape } from "./shape.ts";
import { sum } from "./reduce.ts";

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
const termsKernel = new Kernel({
  name: "layer_norm_gamma_terms",
  source,
  entry: "gamma_terms",
  bindings: ["read", "read", "read", "write"],
});

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
      (affine.rank === 1 || (affine.rank === 2 && affine.shape[0] === x.shape[0]));
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
  const rows = sizeOf(x.shape.slice(0, -1));
  const params = [rows, columns, Math.max(1, rows / gammaRows!), f32Bits(epsilon)];
  const y = empty(x.gpu, x.shape);
  const stats = empty(x.gpu, [rows, 2]);
  launch(forwardKernel, { tensors: [x, weight, bias, y, stats], params, threads: rows });
  if (!isRecording(x, weight, bias)) {
    stats.dispose();
    return y;
  }
  const perRow = (terms: Tensor) => {
    const grouped = reshape(terms, [gammaRows!, rows / gammaRows!, columns]);
    return reshape(sum(grouped, { axes: [1] }), weight.shape);
  };
  return record(y, [x, weight, bias], [
    (dy) => {
      const dx = empty(x.gpu, x.shape);
      launch(gradientKernel, { tensors: [x, weight, stats, dy, dx], params, threads: rows });
      return dx;
    },
    (dy) => {
      const terms = empty(x.gpu, x.shape);
      launch(termsKernel, { tensors: [x, stats, dy, terms], params, threads: x.size });
      return perRow(terms);
    },
    perRow,
  ]);
}
