import type { Tensor } from "../tensor.ts";

/** Rows of one of Q, K, V, or of its gradient, inside a tensor that may hold all three side by side. */
export interface Rows {
  readonly tensor: Tensor;
  /** Of the first element, and between rows; sequences follow each other without gaps. */
  readonly offset: number;
  readonly row: number;
}

/** Where Q, K and V lie, or their gradients in the same way. */
export interface Projections {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
}

/** One attention: softmax(scale·QKᵀ + mask)·V for every head of every sequence. */
export interface Attention extends Projections {
  readonly sequences: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headSize: number;
  readonly scale: number;
  /** [sequences, keys] or [sequences, heads, queries, keys], by its size. */
  readonly mask: Tensor | undefined;
  /** Written: [sequences, queries, heads·headSize]. */
  readonly output: Tensor;
}

/** What a gradient needs beside the {@linkcode Attention}. */
export interface AttentionGradientOptions {
  /** What the forward pass gave. */
  readonly saved: Tensor;
  /** Gradient of the output. */
  readonly dy: Tensor;
  /** Where the gradients of Q, K and V go: laid out as these are. */
  readonly gradients: Projections;
}

/** A way to compute attention. */
export interface AttentionPath {
  /** Writes the output; gives what the gradient needs of the forward pass. */
  forward(attention: Attention): Tensor;
  /** Writes the gradients of Q, K and V. */
  gradient(attention: Attention, options: AttentionGradientOptions): void;
}
