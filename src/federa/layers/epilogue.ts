import { add, gelu, type LinearEpilogue, relu, type Tensor } from "../../engine/mod.ts";

/** Does to a result what `linear` does to its own before that is stored. */
export function withEpilogue(y: Tensor, { activation, residual }: LinearEpilogue): Tensor {
  if (activation !== undefined) return activation === "gelu" ? gelu(y) : relu(y);
  return residual ? add(y, residual) : y;
}
