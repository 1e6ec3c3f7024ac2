import { add, Layer, Linear, type Module, type Tensor, toFloat } from "../../engine/mod.ts";

/** The frozen parts of an adapted layer. */
export interface FrozenLinear {
  /** Frozen weight [out, in]: the pretrained one, or what a start left of it. */
  readonly weight: Tensor;
  /** Frozen bias [out]. */
  readonly bias: Tensor | undefined;
}

/**
 * A linear layer y = W·x + b whose weight changes by ΔW, which follows from the few parameters that are trained. W and b are frozen:
 * they have no client axis. A subclass brings its parameters as fields, its `forward` for a block of clients, [C, ...], and ΔW.
 */
export abstract class AdaptedLinear extends Layer {
  /** Frozen weight [out, in]: the pretrained one, or what a start left of it. */
  readonly weight: Tensor;
  /** Frozen bias [out]. */
  readonly bias: Tensor | undefined;

  constructor({ weight, bias }: FrozenLinear) {
    super();
    this.weight = weight;
    this.bias = bias;
  }

  /**
   * ΔW [out, in], without the client axis; the caller disposes it.
   *
   * @throws {TypeError} when the parameters carry the client axis.
   */
  abstract delta(): Tensor;

  /** W + ΔW as one matrix, [out, in]. */
  effectiveWeight(): Tensor {
    return add(toFloat(this.weight), this.delta());
  }

  /** The same function as an ordinary linear layer. */
  merged(): Linear {
    return new Linear(this.effectiveWeight(), this.bias);
  }
}

/** The layers of a model whose weight changes by something that is trained, by name. */
export function adaptedLinears(model: Module): Map<string, AdaptedLinear> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof AdaptedLinear ? [[name, module]] : []
    ),
  );
}
