import { canRecord, checkpoint, Module, type Tensor } from "../engine/mod.ts";
import type { Columns, Inputs } from "./inputs.ts";

export type { TokenBatch, Tokenizer } from "./tokenizer/tokenizer.ts";

/** What stands between the two layers of a classification head. */
export type HeadActivation = "tanh" | "gelu" | "relu";

/** Name patterns of the linear layers whose results are added to the residual, by the part of a layer that they end. */
export interface ResidualTargets {
  readonly attention: readonly string[];
  readonly feedForward: readonly string[];
}

/**
 * A pretrained encoder of texts. Leading axes are free: [B, T], or [C, B, T] where parameters carry the client axis C.
 */
export abstract class Backbone extends Module {
  /** Width of token states and pooled features. */
  abstract readonly hiddenSize: number;
  /** The most tokens a text may have. */
  abstract readonly maxTokens: number;
  /**
   * The activation of the family's own two-layer classification head on the first token; undefined where the head is one layer on
   * {@linkcode Backbone.pool}, as it is when a pooling is given.
   */
  readonly headActivation: HeadActivation | undefined = undefined;
  /** Whether {@linkcode Backbone.encode} takes tokens without the padding between texts; see {@linkcode Texts}. */
  readonly packsTokens: boolean = false;
  /** Name patterns of the linear layers that low-rank methods adapt by default. */
  abstract readonly adapterTargets: readonly string[];
  /** The linear layers that bottleneck adapters stand behind; undefined where the encoder says of none. */
  readonly residualTargets: ResidualTargets | undefined = undefined;
  /** The layer that {@linkcode Backbone.pool} alone reads, where there is one. */
  declare readonly pooler?: Module | undefined;
  /** Number of token types that have embeddings; undefined if types aren't used. */
  get numTypes(): number | undefined {
    return undefined;
  }
  /** Whether a training step keeps only what goes from layer to layer, and runs each layer again in its backward pass. */
  checkpointing = false;

  /** The same encoder with checkpointing on or off; gradients have the same bits. */
  withCheckpointing(on: boolean): this {
    const copy = this.mapParameters((_, parameter) => parameter);
    copy.checkpointing = on;
    return copy;
  }

  /** The same encoder without its pooler, which a head that doesn't pool would leave without a gradient. */
  withoutPooler(): this {
    return Object.assign(this.mapParameters((_, parameter) => parameter), { pooler: undefined });
  }

  /** Runs one layer; `encode` calls it for each. Where no gradient is wanted, only its result stays. */
  through(layer: (states: Tensor) => Tensor, states: Tensor): Tensor {
    return this.checkpointing || !canRecord() ? checkpoint(layer, states) : layer(states);
  }

  /**
   * Checks that the encoder can read rows on the host, such as that it has an embedding for every token. Accepts all by default.
   *
   * @throws {RangeError} naming the first token without one.
   */
  checkInputs(_columns: Columns): void {}

  /** Token states [..., T, hiddenSize]. */
  abstract encode(inputs: Inputs): Tensor;
  /** One feature vector a text, [..., hiddenSize], for a classification head. */
  abstract pool(states: Tensor, inputs: Inputs): Tensor;
}
