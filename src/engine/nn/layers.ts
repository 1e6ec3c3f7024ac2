import { embedding } from "../ops/embedding.ts";
import { layerNorm } from "../ops/reduction/layer_norm.ts";
import { linear, type LinearEpilogue } from "../ops/matmul/linear.ts";
import { broadcastTo } from "../ops/shape.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** A module that maps one tensor to one tensor. */
export abstract class Layer extends Module {
  /** The layer's output for input `x`. */
  abstract forward(x: Tensor): Tensor;
}

/** y = x·Wᵀ + b, with an optional epilogue; see {@linkcode linear}. */
export class Linear extends Layer {
  /** [out, in], or [C, out, in]. */
  readonly weight: Tensor;
  /** [out], or [C, out]. */
  readonly bias: Tensor | undefined;

  constructor(weight: Tensor, bias?: Tensor) {
    super();
    this.weight = weight;
    this.bias = bias;
  }

  override forward(x: Tensor, epilogue: LinearEpilogue = {}): Tensor {
    return linear(x, { weight: this.weight, bias: this.bias, ...epilogue });
  }
}

/** Layer normalisation with scale and shift; see {@linkcode layerNorm}. */
export class LayerNorm extends Layer {
  /** [D], or [C, D]. */
  readonly weight: Tensor;
  /** [D], or [C, D]. */
  readonly bias: Tensor;
  readonly epsilon: number;

  constructor(weight: Tensor, bias: Tensor, options: { readonly epsilon: number }) {
    super();
    this.weight = weight;
    this.bias = bias;
    this.epsilon = options.epsilon;
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, epsilon } = this;
    if (weight.ndim === bias.ndim) return layerNorm(x, this);
    // One of them is trained member by member, the other is shared.
    const { shape } = weight.ndim > bias.ndim ? weight : bias;
    return layerNorm(x, { weight: broadcastTo(weight, shape), bias: broadcastTo(bias, shape), epsilon });
  }
}

/** A table of vectors by id; see {@linkcode embedding}. */
export class Embedding extends Layer {
  /** [V, D], or [C, V, D]. */
  readonly weight: Tensor;

  constructor(weight: Tensor) {
    super();
    this.weight = weight;
  }

  /** `ids` is u32 of any shape. */
  override forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids);
  }
}
