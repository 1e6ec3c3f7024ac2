import { type Linear, Module, type Tensor } from "../../engine/mod.ts";
import type { Backbone } from "../backbone.ts";
import { AttentionPoint, LayerPoint } from "../points/mod.ts";
import type { Texts } from "../texts.ts";
import type { TransformerConfig } from "./config.ts";
import { Intermediate, type Parts, ResidualOutput } from "./parts.ts";

/** What a layer's states of one text depend on beside its own input. */
export abstract class TransformerLayer extends Module {
  abstract readonly point: LayerPoint;

  /** Rows of token states [..., R, hiddenSize]. */
  abstract forward(x: Tensor, texts: Texts): Tensor;
}

/** Transformer layers, one after the other. */
export class LayerStack extends Module {
  readonly layer: readonly TransformerLayer[];

  constructor(layers: readonly TransformerLayer[]) {
    super();
    this.layer = layers;
  }

  /** Rows of token states [..., R, hiddenSize]; `run` applies each layer. */
  forward(x: Tensor, texts: Texts, run: Backbone["through"] = (layer, states) => layer(states)): Tensor {
    return this.layer.reduce(
      (states, layer) => run((input) => layer.point.forward(layer.forward(input, texts)), states),
      x,
    );
  }
}

class SelfAttention extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly point: AttentionPoint;

  constructor(parts: Parts, name: string, { hiddenSize, numAttentionHeads }: TransformerConfig) {
    super();
    this.query = parts.linear(`${name}.query`);
    this.key = parts.linear(`${name}.key`);
    this.value = parts.linear(`${name}.value`);
    this.point = new AttentionPoint({ width: hiddenSize, heads: numAttentionHeads });
  }

  forward(x: Tensor, texts: Texts): Tensor {
    const v = this.value.forward(x);
    return texts.attend(this.query.forward(x), this.key.forward(x), { v, point: this.point });
  }
}

class Attention extends Module {
  readonly self: SelfAttention;
  readonly output: ResidualOutput;

  constructor(parts: Parts, name: string, config: TransformerConfig) {
    super();
    this.self = new SelfAttention(parts, `${name}.self`, config);
    this.output = new ResidualOutput(parts, `${name}.output`);
  }

  forward(x: Tensor, texts: Texts): Tensor {
    return this.output.forward(this.self.forward(x, texts), x);
  }
}

/** A layer as BERT has it, and RoBERTa and ELECTRA after it, with the names they share. */
export class BertLayer extends TransformerLayer {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;
  override readonly point: LayerPoint;

  constructor(parts: Parts, name: string, config: TransformerConfig) {
    super();
    this.attention = new Attention(parts, `${name}.attention`, config);
    this.intermediate = new Intermediate(parts, `${name}.intermediate`, config);
    this.output = new ResidualOutput(parts, `${name}.output`);
    this.point = new LayerPoint({ width: config.hiddenSize });
  }

  override forward(x: Tensor, texts: Texts): Tensor {
    const attended = this.attention.forward(x, texts);
    const intermediate = this.intermediate.forward(attended);
    const output = this.output.forward(intermediate, attended);
    for (const each of [intermediate, attended]) each.forget();
    return output;
  }
}

/** The layers `encoder.layer.0`, `encoder.layer.1` … as BERT has them. */
export function bertLayers(parts: Parts, config: TransformerConfig): LayerStack {
  return new LayerStack(
    Array.from(
      { length: config.numHiddenLayers },
      (_, i) => new BertLayer(parts, `encoder.layer.${i}`, config),
    ),
  );
}
