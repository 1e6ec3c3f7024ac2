import {
  add,
  concat,
  gelu,
  type LayerNorm,
  linear,
  Module,
  permute,
  relu,
  reshape,
  slice,
  tanh,
  type Tensor,
  zeros,
} from "../../engine/mod.ts";
import type { HeadActivation } from "../backbone.ts";
import type { Texts } from "../texts.ts";
import type { Parts } from "../transformer/parts.ts";
import type { ConvolutionConfig } from "./config.ts";

const activate: Readonly<Record<HeadActivation, (x: Tensor) => Tensor>> = { gelu, relu, tanh };

/** A convolution over the tokens of a text. */
class Convolution extends Module {
  /** [out, in, kernelSize], or [C, out, in, kernelSize]. */
  readonly weight: Tensor;
  /** [out], or [C, out]. */
  readonly bias: Tensor;

  constructor(parts: Parts, name: string) {
    super();
    this.weight = parts.parameter(`${name}.weight`);
    this.bias = parts.parameter(`${name}.bias`);
  }

  /** [..., R, out] of rows x [..., R, in], of which texts go on with zeros: a linear layer on each token and its neighbours. */
  forward(x: Tensor, texts: Texts): Tensor {
    const { weight, bias } = this;
    const [width, size] = weight.shape.slice(-2) as [number, number];
    const members = weight.shape.slice(0, -2);
    const order = [...members.keys(), members.length + 1, members.length];
    const matrix = reshape(permute(weight, order), [...members, width * size]);
    return linear(texts.pack(neighbours(texts.unpack(x), size)), { weight: matrix, bias });
  }
}

/** The states of each token's `size` neighbours side by side, itself in the middle: [..., T, size·D] of [..., T, D]. */
function neighbours(x: Tensor, size: number): Tensor {
  const length = x.shape.at(-2)!;
  const border = zeros(x.gpu, x.shape.with(-2, (size - 1) / 2));
  const padded = concat([border, x, border], { axis: -2 });
  const shifted = Array.from(
    { length: size },
    (_, start) => slice(padded, { axis: -2, start, end: start + length }),
  );
  return concat(shifted, { axis: -1 });
}

/** What some checkpoints add to the first layer's states: a convolution over its input. */
export class ConvolutionLayer extends Module {
  readonly conv: Convolution;
  readonly LayerNorm: LayerNorm;
  readonly activation: HeadActivation;

  constructor(parts: Parts, name: string, { activation }: ConvolutionConfig) {
    super();
    this.conv = new Convolution(parts, `${name}.conv`);
    this.LayerNorm = parts.norm(`${name}.LayerNorm`);
    this.activation = activation;
  }

  /** Of the first layer's input, which is 0 where there's padding, and its states. */
  forward(input: Tensor, states: Tensor, texts: Texts): Tensor {
    return this.LayerNorm.forward(add(states, activate[this.activation](this.conv.forward(input, texts))));
  }
}
