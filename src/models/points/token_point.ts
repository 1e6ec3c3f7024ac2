import { broadcastTo, Module, reshape, type Tensor } from "../../engine/mod.ts";

/** The parts of a {@linkcode TokenPoint}. */
export interface TokenPointOptions {
  /** Of the embeddings of words. */
  readonly width: number;
  /** Positions in front of each text's own; none by default. */
  readonly count?: number | undefined;
  /** Embeddings of virtual tokens at these positions, [count, width] or [C, count, width]; none by default. */
  readonly embeddings?: Tensor | undefined;
}

/**
 * The place in front of a text's tokens where something else may stand. Where there are `count` positions, the text's own begin behind
 * them, as in PEFT: what tells positions apart gives its first token position `count`. A point by itself has none; a subclass stands in its
 * place.
 */
export class TokenPoint extends Module {
  readonly width: number;
  readonly count: number;
  readonly embeddings: Tensor | undefined;

  constructor({ width, count = 0, embeddings }: TokenPointOptions) {
    super();
    this.width = width;
    this.count = count;
    this.embeddings = embeddings;
  }

  /** Virtual tokens in front of each text. */
  get virtual(): number {
    return this.embeddings === undefined ? 0 : this.count;
  }
}

/** x [n, D], or [C, n, D] of C members, for each text: [...leading, n, D], whose first axis is C. */
export function forEachText(x: Tensor, leading: readonly number[]): Tensor {
  const rows = x.shape.slice(-2);
  const own = x.ndim === 3 ? reshape(x, [x.shape[0]!, ...leading.slice(1).map(() => 1), ...rows]) : x;
  return broadcastTo(own, [...leading, ...rows]);
}
