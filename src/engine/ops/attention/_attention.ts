import { formatShape, sameShape, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import type { RelativePositions } from "./relative_positions.ts";

/** Options of the attention operations. */
export interface AttentionOptions {
  /** Number of heads; divides the width. */
  readonly heads: number;
  /**
   * Added to the scaled scores: [..., S] with one row of keys for each sequence, or the shape of the scores,
   * [..., heads, T, S]. Finite: −1e30 hides a key.
   */
  readonly mask?: Tensor | undefined;
  /** Multiplies the scores; 1/√(head size) by default. */
  readonly scale?: number;
}

/** The rows of Q, K or V, or of its gradient, in a tensor that may hold all three side by side. */
export interface Rows {
  readonly tensor: Tensor;
  /** Of the first element, and between rows; sequences follow each other without gaps. */
  readonly offset: number;
  readonly row: number;
}

/** Where Q, K and V are, or their gradients. */
export interface Projections {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
}

/** Position tables that multiply queries and keys, or their gradients: [R, width] or [C, R, width]. */
export interface PositionTables {
  readonly keys?: Tensor | undefined;
  readonly queries?: Tensor | undefined;
}

/** Terms of the scores that depend on the distance of a query from a key. */
export interface RelativeTerms extends PositionTables {
  readonly positions: RelativePositions;
}

/** One attention: softmax(scale·QKᵀ + mask)·V for every head of every sequence. */
export interface Attention extends Projections {
  readonly sequences: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headSize: number;
  readonly scale: number;
  /** [sequences, keys] or [sequences, heads, queries, keys], depending on its size. */
  readonly mask: Tensor | undefined;
  /** Added to QKᵀ, where there are as many queries as keys; only the plain path has them. */
  readonly relative?: RelativeTerms | undefined;
  /** Written: [sequences, queries, heads·headSize]. */
  readonly output: Tensor;
}

/** What the gradient needs besides the {@linkcode Attention}. */
export interface AttentionGradientOptions {
  /** What the forward pass returned. */
  readonly saved: Tensor;
  /** Gradient of the output. */
  readonly dy: Tensor;
  /** Where the gradients of Q, K and V go, in the layout of Q, K and V. */
  readonly gradients: Projections;
  /** Where the gradients of the position tables go, if they are wanted. */
  readonly tables?: PositionTables;
}

/** A way to compute attention. */
export interface AttentionPath {
  /** Writes the output; returns what the gradient needs from the forward pass. */
  forward(attention: Attention): Tensor;
  /** Writes the gradients of Q, K and V. */
  gradient(attention: Attention, options: AttentionGradientOptions): void;
}

/** The number of sequences, and of queries and keys in each. */
export interface AttentionLengths {
  readonly sequences: number;
  readonly queries: number;
  readonly keys: number;
}

/**
 * Everything of an attention except its operands and its output, which has the given shape.
 *
 * @throws {TypeError} when the heads don't divide the width, or the mask doesn't fit the scores.
 * @throws {RangeError} when there are no keys.
 */
export function settle(
  shape: Shape,
  lengths: AttentionLengths,
  options: AttentionOptions,
): Omit<Attention, keyof Projections | "output"> {
  const { heads, mask } = options;
  const width = shape.at(-1)!;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new TypeError(`Cannot split width ${width} into ${heads} heads: expected a divisor`);
  }
  if (lengths.keys === 0) {
    throw new RangeError(`Cannot attend over no keys, with queries for ${formatShape(shape)}`);
  }
  if (mask) assertMaskFits(mask, [...shape.slice(0, -2), heads, lengths.queries, lengths.keys]);
  const headSize = width / heads;
  return { ...lengths, heads, headSize, mask, scale: options.scale ?? 1 / Math.sqrt(headSize) };
}

/** Refuses masks of other shapes, such as [T, S], which would apply to the wrong rows. */
function assertMaskFits(mask: Tensor, scores: Shape): void {
  const perSequence = [...scores.slice(0, -3), scores.at(-1)!];
  if (sameShape(mask.shape, perSequence) || sameShape(mask.shape, scores)) return;
  throw new TypeError(
    `Cannot mask attention scores ${formatShape(scores)} by ${
      formatShape(mask.shape)
    }: expected that shape or ${formatShape(perSequence)}`,
  );
}
