import {
  add,
  formatShape,
  type Gpu,
  mul,
  reshape,
  slice,
  tanh,
  type Tensor,
  tensor,
} from "../../engine/mod.ts";
import { TextEncoder, type TokenTensors } from "../encoder.ts";
import { meanPool } from "../pooling.ts";
import type { BertConfig } from "./config.ts";
import { BertEmbeddings, BertEncoder, BertPooler } from "./layers.ts";
import { type BertParameters, checkBertParameters } from "./parameters.ts";

/** How {@linkcode Bert.pool} makes one vector of a text's token states. */
export type BertPooling = "mean" | "cls" | "pooler";

/** Options of {@linkcode Bert}. */
export interface BertOptions {
  readonly config: BertConfig;
  /**
   * `mean`: over the tokens. `cls`: the first token's state. `pooler`: tanh of a dense layer of it, which the parameters
   * must have. By default `pooler` where they have it, else `mean`.
   */
  readonly pooling?: BertPooling;
}

/** Hides a key from attention, and is finite. */
const hidden = 1e30;

/**
 * BERT (Devlin et al., arXiv 1810.04805): embeddings of words, positions and token types, then layers of self-attention and
 * a feed-forward layer, each followed by a residual and layer normalisation. Modules and parameters have the names that
 * Hugging Face checkpoints give them, as `encoder.layer.0.attention.self.query.weight`.
 *
 * @example
 * ```ts
 * const config = parseBertConfig(JSON.parse(text));
 * const bert = new Bert(gpu, randomBertParameters(config, { seed: 0 }), { config });
 * const states = bert.encode({ ids, mask });
 * ```
 */
export class Bert extends TextEncoder {
  override readonly hiddenSize: number;
  override readonly maxTokens: number;
  override readonly adapterTargets = ["**.encoder.layer.**"];
  readonly config: BertConfig;
  readonly pooling: BertPooling;
  readonly embeddings: BertEmbeddings;
  readonly encoder: BertEncoder;
  readonly pooler: BertPooler | undefined;

  /**
   * Uploads parameters.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   * @throws {TypeError} when it should pool by a dense layer that the parameters don't have.
   */
  constructor(gpu: Gpu, parameters: BertParameters, options: BertOptions) {
    super();
    const { config } = options;
    checkBertParameters(parameters, config);
    const upload = (name: string) => {
      const { shape, data } = parameters.get(name)!;
      return tensor(gpu, data, { shape });
    };
    this.hiddenSize = config.hiddenSize;
    this.maxTokens = config.maxPositionEmbeddings;
    this.config = config;
    this.embeddings = new BertEmbeddings(upload, config);
    this.encoder = new BertEncoder(upload, config);
    this.pooler = parameters.has("pooler.dense.weight") ? new BertPooler(upload) : undefined;
    this.pooling = options.pooling ?? (this.pooler ? "pooler" : "mean");
    if (this.pooling === "pooler" && this.pooler === undefined) {
      throw new TypeError(
        "Cannot pool by pooler.dense: the parameters have none; expected pooling mean or cls",
      );
    }
  }

  /** Token states [..., T, hiddenSize]. */
  override encode({ ids, mask, types }: TokenTensors): Tensor {
    const length = ids.shape.at(-1) ?? 0;
    if (length < 1 || length > this.maxTokens) {
      throw new RangeError(
        `Cannot encode texts of shape ${formatShape(ids.shape)}: expected 1 to ${this.maxTokens} tokens`,
      );
    }
    const attentionMask = mul(add(mask, -1), hidden);
    return this.encoder.forward(
      this.embeddings.forward(ids, types),
      attentionMask,
      (layer, states) => this.through(layer, states),
    );
  }

  /** One vector a text, [..., hiddenSize], by {@linkcode Bert.pooling}. */
  override pool(states: Tensor, mask: Tensor): Tensor {
    if (this.pooling === "mean") return meanPool(states, mask);
    const first = reshape(slice(states, { axis: -2, start: 0, end: 1 }), [
      ...states.shape.slice(0, -2),
      this.hiddenSize,
    ]);
    return this.pooling === "cls" ? first : tanh(this.pooler!.dense.forward(first));
  }
}
