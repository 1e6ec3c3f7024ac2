import {
  add,
  Embedding,
  gelu,
  LayerNorm,
  Linear,
  Module,
  reshape,
  scaledDotProductAttention,
  slice,
  type Tensor,
} from "../../engine/mod.ts";
import type { TextEncoder } from "../encoder.ts";
import type { BertConfig } from "./config.ts";

/** Gives the parameter of a name. */
type Upload = (name: string) => Tensor;

function linear(upload: Upload, name: string): Linear {
  return new Linear(upload(`${name}.weight`), upload(`${name}.bias`));
}

function layerNorm(upload: Upload, name: string, { layerNormEps }: BertConfig): LayerNorm {
  return new LayerNorm(upload(`${name}.weight`), upload(`${name}.bias`), { epsilon: layerNormEps });
}

/** The sum of three embeddings of each token, normalised. */
export class BertEmbeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly token_type_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;

  constructor(upload: Upload, config: BertConfig) {
    super();
    const table = (name: string) => new Embedding(upload(`embeddings.${name}.weight`));
    this.word_embeddings = table("word_embeddings");
    this.position_embeddings = table("position_embeddings");
    this.token_type_embeddings = table("token_type_embeddings");
    this.LayerNorm = layerNorm(upload, "embeddings.LayerNorm", config);
  }

  /** [..., T, hiddenSize] of ids [..., T]; without types all tokens are of type 0. */
  forward(ids: Tensor, types?: Tensor): Tensor {
    const words = this.word_embeddings.forward(ids);
    const positions = firstRows(this.position_embeddings, ids.shape.at(-1)!);
    const kinds = types
      ? this.token_type_embeddings.forward(types)
      : firstRows(this.token_type_embeddings, 1);
    return this.LayerNorm.forward(add(add(words, kinds), positions));
  }
}

/** The first rows of a table, shaped to be added to the states of texts: [n, D], or [C, 1, n, D] of C members' tables. */
function firstRows({ weight }: Embedding, count: number): Tensor {
  const rows = slice(weight, { axis: -2, start: 0, end: count });
  return weight.rank === 2 ? rows : reshape(rows, [weight.shape[0]!, 1, ...rows.shape.slice(1)]);
}

class SelfAttention extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly heads: number;

  constructor(upload: Upload, name: string, { numAttentionHeads }: BertConfig) {
    super();
    this.query = linear(upload, `${name}.query`);
    this.key = linear(upload, `${name}.key`);
    this.value = linear(upload, `${name}.value`);
    this.heads = numAttentionHeads;
  }

  forward(x: Tensor, mask: Tensor): Tensor {
    return scaledDotProductAttention(this.query.forward(x), this.key.forward(x), {
      v: this.value.forward(x),
      heads: this.heads,
      mask,
    });
  }
}

/** A dense layer, its residual, and layer normalisation after both. */
class ResidualOutput extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;

  constructor(upload: Upload, name: string, config: BertConfig) {
    super();
    this.dense = linear(upload, `${name}.dense`);
    this.LayerNorm = layerNorm(upload, `${name}.LayerNorm`, config);
  }

  forward(x: Tensor, residual: Tensor): Tensor {
    return this.LayerNorm.forward(this.dense.forward(x, { residual }));
  }
}

class Attention extends Module {
  readonly self: SelfAttention;
  readonly output: ResidualOutput;

  constructor(upload: Upload, name: string, config: BertConfig) {
    super();
    this.self = new SelfAttention(upload, `${name}.self`, config);
    this.output = new ResidualOutput(upload, `${name}.output`, config);
  }

  forward(x: Tensor, mask: Tensor): Tensor {
    return this.output.forward(this.self.forward(x, mask), x);
  }
}

class Intermediate extends Module {
  readonly dense: Linear;
  readonly activation: BertConfig["hiddenAct"];

  constructor(upload: Upload, name: string, { hiddenAct }: BertConfig) {
    super();
    this.dense = linear(upload, `${name}.dense`);
    this.activation = hiddenAct;
  }

  forward(x: Tensor): Tensor {
    return this.activation === "gelu_new"
      ? gelu(this.dense.forward(x), { approximate: "tanh" })
      : this.dense.forward(x, { activation: this.activation });
  }
}

class BertLayer extends Module {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;

  constructor(upload: Upload, name: string, config: BertConfig) {
    super();
    this.attention = new Attention(upload, `${name}.attention`, config);
    this.intermediate = new Intermediate(upload, `${name}.intermediate`, config);
    this.output = new ResidualOutput(upload, `${name}.output`, config);
  }

  forward(x: Tensor, mask: Tensor): Tensor {
    const attended = this.attention.forward(x, mask);
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}

/** The stack of transformer layers. */
export class BertEncoder extends Module {
  readonly layer: readonly BertLayer[];

  constructor(upload: Upload, config: BertConfig) {
    super();
    this.layer = Array.from(
      { length: config.numHiddenLayers },
      (_, i) => new BertLayer(upload, `encoder.layer.${i}`, config),
    );
  }

  /**
   * Token states [..., T, hiddenSize]; the mask [..., T] is added to the scores of keys. `run` applies each layer.
   */
  forward(x: Tensor, mask: Tensor, run: TextEncoder["through"] = (layer, states) => layer(states)): Tensor {
    return this.layer.reduce((states, layer) => run((input) => layer.forward(input, mask), states), x);
  }
}

/** The dense layer that some checkpoints have for the first token's state. */
export class BertPooler extends Module {
  readonly dense: Linear;

  constructor(upload: Upload) {
    super();
    this.dense = linear(upload, "pooler.dense");
  }
}
