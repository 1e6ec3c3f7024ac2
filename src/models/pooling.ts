import { div, matmul, maximum, ones, reshape, slice, sum, type Tensor } from "../engine/mod.ts";

/**
 * How one vector is made of a text's token states. `mean`: over the tokens. `cls`: the first token's state. `pooler`: tanh of
 * a dense layer of that, which only some checkpoints have.
 */
export type Pooling = "mean" | "cls" | "pooler";

/** Mean over the tokens of each text: states [..., T, D] and mask [..., T] → [..., D]. A text without tokens has the mean 0. */
export function meanPool(states: Tensor, attentionMask: Tensor): Tensor {
  const [length, width] = states.shape.slice(-2) as [number, number];
  const counts = maximum(sum(attentionMask, { axes: [-1], keepDims: true }), ones(attentionMask.gpu, [1]));
  const weights = reshape(div(attentionMask, counts), [-1, 1, length]);
  const means = matmul(weights, reshape(states, [-1, length, width]));
  return reshape(means, [...states.shape.slice(0, -2), width]);
}

/** The first token's state of each text: [..., T, D] → [..., D]. */
export function firstToken(states: Tensor): Tensor {
  const first = slice(states, { axis: -2, start: 0, end: 1 });
  return reshape(first, [...states.shape.slice(0, -2), states.shape.at(-1)!]);
}
