import { div, matmul, maximum, ones, reshape, sum, type Tensor } from "../engine/mod.ts";

/** Mean over the tokens of each text: states [..., T, D] and mask [..., T] → [..., D]. A text without tokens has the mean 0. */
export function meanPool(states: Tensor, mask: Tensor): Tensor {
  const [length, width] = states.shape.slice(-2) as [number, number];
  const counts = maximum(sum(mask, { axes: [-1], keepDims: true }), ones(mask.gpu, [1]));
  const weights = reshape(div(mask, counts), [-1, 1, length]);
  const means = matmul(weights, reshape(states, [-1, length, width]));
  return reshape(means, [...states.shape.slice(0, -2), width]);
}
