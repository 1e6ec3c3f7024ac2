import {
  Embedding,
  gelu,
  isStorageOnly,
  LayerNorm,
  Linear,
  Module,
  reshape,
  silu,
  slice,
  type Tensor,
  toFloat,
} from "../../engine/mod.ts";
import type { EncoderParameters } from "../parameters.ts";
import type { HiddenActivation, TransformerConfig } from "./config.ts";

/** The layers of an encoder, made of its parameters by the names that these have. */
export class Parts {
  readonly #parameters: EncoderParameters;
  readonly #epsilon: number;

  constructor(parameters: EncoderParameters, { layerNormEps }: Pick<TransformerConfig, "layerNormEps">) {
    this.#parameters = parameters;
    this.#epsilon = layerNormEps;
  }

  /** Whether there is a parameter of a name. */
  has(name: string): boolean {
    return this.#parameters.has(name);
  }

  /**
   * A parameter.
   *
   * @throws {TypeError} when it's missing.
   */
  parameter(name: string): Tensor {
    const found = this.#parameters.get(name);
    if (found === undefined) throw new TypeError(`Cannot build the encoder: parameter ${name} is missing`);
    return found;
  }

  /** The linear layer of `name.weight` and `name.bias`. */
  linear(name: string): Linear {
    return new Linear(this.parameter(`${name}.weight`), this.parameter(`${name}.bias`));
  }

  /** The layer normalisation of `name.weight` and `name.bias`. */
  norm(name: string): LayerNorm {
    const { weight, bias } = this.linear(name);
    return new LayerNorm(weight, bias!, { epsilon: this.#epsilon });
  }

  /** The table `name.weight`. */
  table(name: string): Embedding {
    return new Embedding(this.parameter(`${name}.weight`));
  }
}

/** A table in f32, in which it can be cut and normalised; no gradient goes to one that is stored in another precision. */
export function floatTable({ weight }: Embedding): Tensor {
  return isStorageOnly(weight.dtype) ? toFloat(weight) : weight;
}

/**
 * The first rows of a table, shaped to be added to the states of tokens whose ids have `ndim` axes: [n, D], or [C, …, n, D] of C
 * members' tables.
 */
export function firstRows(table: Embedding, count: number, ndim: number): Tensor {
  const weight = floatTable(table);
  const rows = slice(weight, { axis: -2, start: 0, end: count });
  if (weight.ndim === 2) return rows;
  return reshape(rows, [weight.shape[0]!, ...new Array<number>(ndim - 2).fill(1), ...rows.shape.slice(1)]);
}

/** A linear layer and its activation, in one kernel where there is one. */
export function activated(layer: Linear, x: Tensor, activation: HiddenActivation): Tensor {
  if (activation === "gelu_new") return gelu(layer.forward(x), { approximate: "tanh" });
  return activation === "silu" ? silu(layer.forward(x)) : layer.forward(x, { activation });
}

/** A linear layer and the activation of a feed-forward part. */
export class Intermediate extends Module {
  readonly dense: Linear;
  readonly activation: HiddenActivation;

  constructor(parts: Parts, name: string, { hiddenAct }: Pick<TransformerConfig, "hiddenAct">) {
    super();
    this.dense = parts.linear(`${name}.dense`);
    this.activation = hiddenAct;
  }

  /** [..., intermediateSize]. */
  forward(x: Tensor): Tensor {
    return activated(this.dense, x, this.activation);
  }
}

/** A linear layer, its residual, and layer normalisation after both. */
export class ResidualOutput extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;

  constructor(parts: Parts, name: string) {
    super();
    this.dense = parts.linear(`${name}.dense`);
    this.LayerNorm = parts.norm(`${name}.LayerNorm`);
  }

  /** As the residual. */
  forward(x: Tensor, residual: Tensor): Tensor {
    return this.LayerNorm.forward(this.dense.forward(x, { residual }));
  }
}
