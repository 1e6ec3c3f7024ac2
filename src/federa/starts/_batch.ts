import { concat, reshape, type Tensor, tidy } from "../../engine/mod.ts";
import { jacobiSvd, type Svd } from "../../engine/linalg/mod.ts";

/** Matrices of one shape as one tensor [N, m, n]. */
export function stacked(weights: readonly Tensor[]): Tensor {
  return tidy(() => concat(weights.map((weight) => reshape(weight, [1, ...weight.shape]))));
}

/** The full SVDs of matrices of one shape, by Jacobi rotations. */
export async function exactSvd(weights: readonly Tensor[]): Promise<Svd> {
  using batch = stacked(weights);
  return await jacobiSvd(batch);
}
