import { type LayerNorm, type Linear, Module, type Tensor } from "../../engine/mod.ts";
import { AttentionPoint, LayerPoint } from "../points/mod.ts";
import type { Texts } from "../texts.ts";
import type { HiddenActivation, TransformerConfig } from "../transformer/config.ts";
import { TransformerLayer } from "../transformer/layers.ts";
import { activated, type Parts } from "../transformer/parts.ts";

class Attention extends Module {
  readonly q_lin: Linear;
  readonly k_lin: Linear;
  readonly v_lin: Linear;
  readonly out_lin: Linear;
  readonly point: AttentionPoint;

  constructor(parts: Parts, name: string, { hiddenSize, numAttentionHeads }: TransformerConfig) {
    super();
    this.q_lin = parts.linear(`${name}.q_lin`);
    this.k_lin = parts.linear(`${name}.k_lin`);
    this.v_lin = parts.linear(`${name}.v_lin`);
    this.out_lin = parts.linear(`${name}.out_lin`);
    this.point = new AttentionPoint({ width: hiddenSize, heads: numAttentionHeads });
  }

  forward(x: Tensor, texts: Texts): Tensor {
    const { point } = this;
    const v = this.v_lin.forward(x);
    const mixed = texts.attend(this.q_lin.forward(x), this.k_lin.forward(x), { v, point });
    return this.out_lin.forward(mixed, { residual: x });
  }
}

class FeedForward extends Module {
  readonly lin1: Linear;
  readonly lin2: Linear;
  readonly activation: HiddenActivation;

  constructor(parts: Parts, name: string, { hiddenAct }: TransformerConfig) {
    super();
    this.lin1 = parts.linear(`${name}.lin1`);
    this.lin2 = parts.linear(`${name}.lin2`);
    this.activation = hiddenAct;
  }

  forward(x: Tensor): Tensor {
    const intermediate = activated(this.lin1, x, this.activation);
    const output = this.lin2.forward(intermediate, { residual: x });
    intermediate.forget();
    return output;
  }
}

/** BERT's layer under DistilBERT's names. */
export class DistilBertLayer extends TransformerLayer {
  readonly attention: Attention;
  readonly sa_layer_norm: LayerNorm;
  readonly ffn: FeedForward;
  readonly output_layer_norm: LayerNorm;
  override readonly point: LayerPoint;

  constructor(parts: Parts, name: string, config: TransformerConfig) {
    super();
    this.attention = new Attention(parts, `${name}.attention`, config);
    this.sa_layer_norm = parts.norm(`${name}.sa_layer_norm`);
    this.ffn = new FeedForward(parts, `${name}.ffn`, config);
    this.output_layer_norm = parts.norm(`${name}.output_layer_norm`);
    this.point = new LayerPoint({ width: config.hiddenSize });
  }

  override forward(x: Tensor, texts: Texts): Tensor {
    const attended = this.sa_layer_norm.forward(this.attention.forward(x, texts));
    const output = this.output_layer_norm.forward(this.ffn.forward(attended));
    attended.forget();
    return output;
  }
}
