import { Module, type Tensor } from "../../engine/mod.ts";

/** The sizes of an {@linkcode AttentionPoint}'s attention. */
export interface AttentionPointOptions {
  /** Width of its queries, keys and values. */
  readonly width: number;
  /** Heads that divide it. */
  readonly heads: number;
  /** Whether it takes keys and values in front of the tokens' own; it does by default. */
  readonly takesPrefix?: boolean | undefined;
}

/** The place in an attention where something else may take part. A point by itself changes nothing; a subclass stands in its place. */
export class AttentionPoint extends Module {
  readonly width: number;
  readonly heads: number;
  readonly takesPrefix: boolean;
  /** Keys in front of those of each text's tokens, [P, width] or [C, P, width]. */
  readonly keys: Tensor | undefined = undefined;
  /** Values in front of those of each text's tokens, shaped as the keys. */
  readonly values: Tensor | undefined = undefined;

  constructor({ width, heads, takesPrefix = true }: AttentionPointOptions) {
    super();
    this.width = width;
    this.heads = heads;
    this.takesPrefix = takesPrefix;
  }

  /** Whether it changes nothing. */
  get isPlain(): boolean {
    return true;
  }

  /** The queries to attend with in place of x [..., R, width]; of distances too, where scores depend on them. */
  queries(x: Tensor): Tensor {
    return x;
  }

  /** What comes of the attention in place of its result x [..., R, width]. */
  mixed(x: Tensor): Tensor {
    return x;
  }
}
