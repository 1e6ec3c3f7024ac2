import {
  add,
  div,
  Embedding,
  embedding,
  type Gpu,
  LayerNorm,
  Linear,
  matmul,
  maximum,
  Module,
  mul,
  ones,
  reshape,
  selfAttention,
  slice,
  sqrt,
  square,
  sum,
  tanh,
  type Tensor,
  tensor,
} from "../../engine/mod.ts";
import { Backbone } from "../backbone.ts";
import { checkLength } from "../transformer/encoder.ts";
import type { TokenTensors } from "../inputs.ts";
import { AttentionPoint, LayerPoint, TokenPoint } from "../points/mod.ts";
import { Texts } from "../texts.ts";
import type { UseLiteParameters } from "./weights.ts";

const heads = 4;
const epsilon = 1e-6;
const positions = 128;
const numLayers = 2;

/** Self-attention of one layer, the three projections fused. */
class Attention extends Module {
  readonly qkv: Linear;
  readonly output: Linear;
  readonly point: AttentionPoint;

  constructor(qkv: Linear, output: Linear) {
    super();
    this.qkv = qkv;
    this.output = output;
    this.point = new AttentionPoint({ width: qkv.weight.shape.at(-2)! / 3, heads });
  }

  forward(x: Tensor, texts: Texts, residual: Tensor): Tensor {
    return this.output.forward(attend(this.qkv.forward(x), texts, this.point), { residual });
  }
}

function attend(qkv: Tensor, texts: Texts, point: AttentionPoint): Tensor {
  if (point.isPlain) return texts.pack(selfAttention(texts.unpack(qkv), { heads, mask: texts.keyMask }));
  const part = (i: number) => slice(qkv, { axis: -1, start: i * point.width, end: (i + 1) * point.width });
  return texts.attend(part(0), part(1), { v: part(2), point });
}

/** Two dense layers with a rectifier between. */
class FeedForward extends Module {
  readonly inner: Linear;
  readonly outer: Linear;

  constructor(inner: Linear, outer: Linear) {
    super();
    this.inner = inner;
    this.outer = outer;
  }

  forward(x: Tensor, residual: Tensor): Tensor {
    return this.outer.forward(this.inner.forward(x, { activation: "relu" }), { residual });
  }
}

/** A pre-norm transformer layer; the first one widens 256 to 512 and so has a dense residual. */
class TransformerLayer extends Module {
  readonly attentionNorm: LayerNorm;
  readonly attention: Attention;
  readonly residual: Linear | undefined;
  readonly feedForwardNorm: LayerNorm;
  readonly feedForward: FeedForward;
  readonly point: LayerPoint;

  constructor(parts: Parts, name: string) {
    super();
    this.attentionNorm = parts.norm(`${name}.attentionNorm`);
    this.attention = new Attention(
      parts.linear(`${name}.attention.qkv`),
      parts.linear(`${name}.attention.output`),
    );
    this.residual = parts.has(`${name}.residual.weight`) ? parts.linear(`${name}.residual`) : undefined;
    this.feedForwardNorm = parts.norm(`${name}.feedForwardNorm`);
    this.feedForward = new FeedForward(
      parts.linear(`${name}.feedForward.inner`),
      parts.linear(`${name}.feedForward.outer`),
    );
    this.point = new LayerPoint({ width: this.feedForward.outer.weight.shape.at(-2)! });
  }

  forward(x: Tensor, texts: Texts): Tensor {
    const residual = this.residual ? this.residual.forward(x) : x;
    const h = this.attention.forward(this.attentionNorm.forward(x), texts, residual);
    return this.point.forward(this.feedForward.forward(this.feedForwardNorm.forward(h), h));
  }
}

/**
 * Universal Sentence Encoder lite (Cer et al., arXiv 1803.11175): 8,002 pieces, two pre-norm transformer layers with 4
 * heads, 512 features, at most 128 tokens a text.
 */
export class UseLite extends Backbone {
  override readonly hiddenSize = 512;
  override readonly packsTokens = true;
  override readonly adapterTargets = ["**.attention.*", "**.feedForward.*"];
  override readonly residualTargets = {
    attention: ["**.attention.output"],
    feedForward: ["**.feedForward.outer"],
  };
  readonly embedding: Embedding;
  readonly point: TokenPoint;
  readonly layers: readonly TransformerLayer[];
  override readonly pooler: Linear;
  /** Sines and cosines of positions, [128, 256]: fixed, so not a parameter. */
  readonly timing: { readonly table: Tensor };

  /** Uploads parameters as `readUseLiteParameters` names them. */
  constructor(gpu: Gpu, parameters: UseLiteParameters) {
    super();
    const parts = new Parts(gpu, parameters);
    this.embedding = new Embedding(parts.parameter("embedding.weight"));
    this.point = new TokenPoint({ width: this.embedding.weight.shape.at(-1)! });
    this.layers = Array.from({ length: numLayers }, (_, i) => new TransformerLayer(parts, `layers.${i}`));
    this.pooler = parts.linear("pooler");
    this.timing = { table: timingTable(gpu, parts.values("timing.inverseFrequencies")) };
  }

  override get maxTokens(): number {
    return positions - this.point.count;
  }

  /**
   * Token states [..., T, 512].
   *
   * @throws {RangeError} when texts have no tokens, or more than `maxTokens`.
   */
  override encode(tokens: TokenTensors): Tensor {
    checkLength(tokens.inputIds, this.maxTokens);
    const { timing: { table }, point: { count, virtual, embeddings } } = this;
    const texts = new Texts(tokens, { virtual });
    const times = count === 0 ? table : slice(table, { start: count, end: positions });
    const timing = texts.positions
      ? embedding(times, texts.positions)
      : slice(times, { start: 0, end: tokens.inputIds.shape.at(-1)! });
    const own = add(mul(this.embedding.forward(texts.inputIds), 2), timing);
    let x = embeddings
      ? texts.join(add(mul(embeddings, 2), slice(table, { start: 0, end: count })), own)
      : own;
    for (const layer of this.layers) x = this.through((states) => layer.forward(states, texts), x);
    return texts.own(x);
  }

  /** tanh of a dense layer on the mean over tokens, [..., 512]; a text without tokens has the mean 0. */
  override pool(states: Tensor, { attentionMask }: TokenTensors): Tensor {
    const length = states.shape.at(-2)!;
    const counts = maximum(sum(attentionMask, { axes: [-1], keepDims: true }), ones(attentionMask.gpu, [1]));
    const weights = reshape(div(attentionMask, counts), [-1, 1, length]);
    const mean = matmul(weights, reshape(states, [-1, length, this.hiddenSize]));
    return tanh(this.pooler.forward(reshape(mean, [...states.shape.slice(0, -2), this.hiddenSize])));
  }

  /** Sentence vectors of length 1, [..., 512]: their dot product is the similarity of two texts. */
  sentenceVectors(tokens: TokenTensors): Tensor {
    const pooled = this.pool(this.encode(tokens), tokens);
    return div(pooled, sqrt(sum(square(pooled), { axes: [-1], keepDims: true })));
  }
}

/** Uploads named parameters as layers. */
class Parts {
  readonly #gpu: Gpu;
  readonly #parameters: UseLiteParameters;

  constructor(gpu: Gpu, parameters: UseLiteParameters) {
    this.#gpu = gpu;
    this.#parameters = parameters;
  }

  has(name: string): boolean {
    return this.#parameters.has(name);
  }

  values(name: string): Float32Array {
    const parameter = this.#parameters.get(name);
    if (parameter === undefined) {
      throw new TypeError(`Cannot build the encoder: parameter ${name} is missing`);
    }
    return parameter.data;
  }

  parameter(name: string): Tensor {
    return tensor(this.#gpu, this.values(name), { shape: this.#parameters.get(name)!.shape });
  }

  linear(name: string): Linear {
    return new Linear(this.parameter(`${name}.weight`), this.parameter(`${name}.bias`));
  }

  norm(name: string): LayerNorm {
    return new LayerNorm(this.parameter(`${name}.weight`), this.parameter(`${name}.bias`), { epsilon });
  }
}

function timingTable(gpu: Gpu, inverseFrequencies: Float32Array): Tensor {
  const half = inverseFrequencies.length;
  const table = new Float32Array(positions * 2 * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * inverseFrequencies[i]!;
      table[position * 2 * half + i] = Math.sin(angle);
      table[position * 2 * half + half + i] = Math.cos(angle);
    }
  }
  return tensor(gpu, table, { shape: [positions, 2 * half] });
}
