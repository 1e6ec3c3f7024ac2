import {
  abs,
  add,
  div,
  max,
  maximum,
  mul,
  ones,
  reshape,
  sqrt,
  sumOfSquares,
  type Tensor,
  where,
} from "../../engine/mod.ts";
import type { Tensors } from "../tensors.ts";

/**
 * ‖Δ_k‖₂ of each member over all names, [C] for changes [C, ...]; scaled by the largest element, so that no square overflows or
 * vanishes.
 */
export function memberNorms(changes: Tensors): Tensor {
  const flat = [...changes.values()].map((each) => reshape(each, [each.shape[0]!, -1]));
  const largest = flat.map((each) => max(abs(each), { axes: [1] })).reduce((a, b) => maximum(a, b));
  const scale = where(largest, { then: largest, otherwise: ones(largest.gpu, [1]) });
  const squares = flat.map((each) => sumOfSquares(div(each, reshape(scale, [-1, 1])), { axes: [1] }));
  return mul(sqrt(squares.reduce((a, b) => add(a, b))), scale);
}
