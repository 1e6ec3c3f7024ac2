import {
  gelu,
  type Gpu,
  Linear,
  Module,
  randomKey,
  RandomStream,
  relu,
  reshape,
  slice,
  tanh,
  type Tensor,
  tensor,
  zeros,
} from "../../engine/mod.ts";
import {
  type Backbone,
  type HeadActivation,
  type Inputs,
  packTokens,
  unpackTokens,
} from "../../models/mod.ts";

/** Options of {@linkcode createHead}. */
export interface CreateHeadOptions {
  /** Outputs K. */
  readonly size: number;
  /** Whether every token has outputs of its own. */
  readonly perToken: boolean;
  /** Seed of the weights. */
  readonly seed: number;
}

/** Standard deviation of a new head's weights, as is usual for encoders. */
const deviation = 0.02;

/** What makes outputs of an encoder's token states. */
export abstract class Head extends Module {
  /** The last layer, weight [K, D]. */
  abstract readonly output: Linear;

  /** Outputs of the states [..., T, D] that an encoder has of inputs. */
  abstract forward(states: Tensor, inputs: Inputs, encoder: Backbone): Tensor;
}

/** A linear layer on every token's state: [..., T, K]. */
export class TokenHead extends Head {
  override readonly output: Linear;

  constructor(output: Linear) {
    super();
    this.output = output;
  }

  override forward(states: Tensor, inputs: Inputs): Tensor {
    return unpackTokens(this.output.forward(packTokens(states, inputs)), inputs);
  }
}

/** A linear layer on the encoder's own pooled features: [..., K]. */
export class PooledHead extends Head {
  override readonly output: Linear;

  constructor(output: Linear) {
    super();
    this.output = output;
  }

  override forward(states: Tensor, inputs: Inputs, encoder: Backbone): Tensor {
    return this.output.forward(encoder.pool(states, inputs));
  }
}

/** Two layers on the first token's state, as RoBERTa, DistilBERT, DeBERTa and ELECTRA classify: [..., K]. */
export class DenseHead extends Head {
  /** Weight [D, D], at the first token. */
  readonly dense: Linear;
  override readonly output: Linear;
  readonly activation: HeadActivation;

  constructor(dense: Linear, output: Linear, options: { readonly activation: HeadActivation }) {
    super();
    this.dense = dense;
    this.output = output;
    this.activation = options.activation;
  }

  override forward(states: Tensor): Tensor {
    const [length, width] = states.shape.slice(-2) as [number, number];
    const first = slice(states, { axis: -2, start: 0, end: Math.min(1, length) });
    const features = this.dense.forward(reshape(first, [...states.shape.slice(0, -2), width]));
    return this.output.forward(activate[this.activation](features));
  }
}

const activate: Readonly<Record<HeadActivation, (x: Tensor) => Tensor>> = { gelu, relu, tanh };

/** A new head that suits an encoder: normal weights of deviation 0.02, zero biases. */
export function createHead(gpu: Gpu, encoder: Backbone, options: CreateHeadOptions): Head {
  const { size, perToken, seed } = options;
  const { hiddenSize, headActivation } = encoder;
  const linear = (name: string, out: number) => {
    const stream = new RandomStream(randomKey(seed, ...name === "output" ? ["head"] : ["head", name]));
    const weights = Float32Array.from({ length: out * hiddenSize }, () => deviation * stream.normal());
    return new Linear(tensor(gpu, weights, { shape: [out, hiddenSize] }), zeros(gpu, [out]));
  };
  const output = linear("output", size);
  if (perToken) return new TokenHead(output);
  return headActivation === undefined
    ? new PooledHead(output)
    : new DenseHead(linear("dense", hiddenSize), output, { activation: headActivation });
}
