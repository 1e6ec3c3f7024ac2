import { checkpoint, Module, type Tensor } from "../engine/mod.ts";
import type { TokenBatch } from "./tokenizer/tokenizer.ts";

export type { TokenBatch, Tokenizer } from "./tokenizer/tokenizer.ts";

/** A padded batch of texts on the GPU. */
export interface TokenTensors {
  /** Token ids, u32 [..., T]. */
  readonly inputIds: Tensor;
  /** 1 for a token, 0 for padding, f32 [..., T]. */
  readonly attentionMask: Tensor;
  /** Which part of its text a token is in, u32 [..., T], for encoders that tell parts apart; part 0 by default. */
  readonly tokenTypeIds?: Tensor;
}

/** Rows of tokens on the host. */
export type TokenRows = Pick<TokenBatch, "inputIds" | "tokenTypeIds" | "length">;

/** What stands between the two layers of a classification head. */
export type HeadActivation = "tanh" | "gelu" | "relu";

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
  /** Name patterns of the linear layers that low-rank methods adapt where nobody says otherwise. */
  abstract readonly adapterTargets: readonly string[];
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

  /** Runs one layer; `encode` calls it for each. */
  through(layer: (states: Tensor) => Tensor, states: Tensor): Tensor {
    return this.checkpointing ? checkpoint(layer, states) : layer(states);
  }

  /**
   * Checks that the encoder has embeddings for every token of rows on the host. Accepts all tokens by default.
   *
   * @throws {RangeError} naming the first token without one.
   */
  checkTokens(_rows: TokenRows): void {}

  /** Token states [..., T, hiddenSize]. */
  abstract encode(tokens: TokenTensors): Tensor;
  /** One feature vector a text, [..., hiddenSize], for a classification head. */
  abstract pool(states: Tensor, attentionMask: Tensor): Tensor;
}
