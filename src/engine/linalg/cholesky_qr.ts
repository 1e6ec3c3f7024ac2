import source from "../../shaders/linalg/cholesky.wgsl";
import { Kernel } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { matmul } from "../ops/matmul/matmul.ts";
import { empty, type Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { laneConstants } from "./_rows.ts";

const kernel = new Kernel({ name: "cholesky_inverse", source, bindings: ["read", "write"] });

/** Most columns of {@linkcode wellConditioned}: a single workgroup factors the Gram matrix, n³ steps by few threads. */
export const maxCholeskyColumns = 64;

/**
 * Added to each diagonal element of a Gram matrix, relatively: above the rounding of its elements, √m·2⁻²⁴ for lengths m
 * of some thousands, times √n.
 */
const shift = 2 ** -16;

/**
 * Nearly orthonormal columns with the span of those of `y` [N, m, n], n at most 64, by two passes of Cholesky QR with a
 * shift: n²·m work in matrix products and a small factorisation. Columns scaled to length 1 and of condition up to 10⁵ come out
 * with a condition below 2; of columns that are dependent to rounding some come out short. That is enough between
 * the steps of a power iteration, where Householder QR costs more than the products.
 */
export function wellConditioned(y: Tensor): Tensor {
  return tidy(() => pass(pass(y)));
}

function pass(y: Tensor): Tensor {
  const [batch, , n] = y.shape as [number, number, number];
  const gram = matmul(y, y, { transposeA: true });
  const inverse = empty(y.gpu, [batch, n, n]);
  const constants = laneConstants[y.gpu.adapter.class];
  launch(kernel, {
    tensors: [gram, inverse],
    params: [n, batch],
    workgroups: [Math.ceil(batch / constants.GROUPS), 1, 1],
    constants: { ...constants, SHIFT: shift },
  });
  return matmul(y, inverse, { transposeB: true });
}
