import {
  add,
  formatShape,
  Layer,
  type Linear,
  linear,
  type LinearEpilogue,
  type Tensor,
} from "../../engine/mod.ts";

/** The parts of a {@linkcode BottleneckLinear}. */
export interface BottleneckLinearOptions {
  /** Frozen weight [out, in]. */
  readonly weight: Tensor;
  /** Frozen bias [out]. */
  readonly bias: Tensor | undefined;
  /** Weight [m, out] and bias [m], or each with the client axis. */
  readonly down: Linear;
  /** Weight [out, m] and bias [out], or each with the client axis. */
  readonly up: Linear;
}

/**
 * A linear layer with a bottleneck adapter on its result (Houlsby et al., arXiv 1902.00751): z + up(gelu(down(z))) with z = W·x + b, of
 * which down and up, with their biases, are trained. A residual is added after it. It isn't linear in x, so no weight does the same.
 *
 * @example
 * ```ts no-run
 * const y = new BottleneckLinear({ weight, bias, down, up }).forward(x, { residual });
 * ```
 */
export class BottleneckLinear extends Layer {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly down: Linear;
  readonly up: Linear;

  /** @throws {TypeError} when the shapes don't agree. */
  constructor({ weight, bias, down, up }: BottleneckLinearOptions) {
    super();
    this.weight = weight;
    this.bias = bias;
    this.down = down;
    this.up = up;
    const [out] = weight.shape;
    const size = down.weight.shape.at(-2);
    if (
      down.weight.shape.at(-1) !== out || up.weight.shape.at(-2) !== out || up.weight.shape.at(-1) !== size
    ) {
      throw new TypeError(
        `Cannot put a bottleneck of down ${formatShape(down.weight.shape)} and up ${
          formatShape(up.weight.shape)
        } on a weight ${formatShape(weight.shape)}: expected [m, out] and [out, m]`,
      );
    }
  }

  /** m, the width in the middle. */
  get size(): number {
    return this.down.weight.shape.at(-2)!;
  }

  /** @throws {TypeError} when an activation is asked for, which would stand behind the adapter. */
  override forward(x: Tensor, { activation, residual }: LinearEpilogue = {}): Tensor {
    if (activation !== undefined) {
      throw new TypeError(
        `Cannot apply ${activation} to a linear layer with a bottleneck adapter: expected a layer whose result goes to the residual`,
      );
    }
    const z = linear(x, { weight: this.weight, bias: this.bias });
    const hidden = this.down.forward(z, { activation: "gelu" });
    const adapted = this.up.forward(hidden, { residual: z });
    return residual ? add(adapted, residual) : adapted;
  }
}
