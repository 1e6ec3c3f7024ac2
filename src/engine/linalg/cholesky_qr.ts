import source from "../../shaders/linalg/cholesky.wgsl";
import { Kernel } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { gemm } from "../ops/matmul/gemm.ts";
import { empty, type Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { extentsOf, laneConstants, type Rows } from "./_rows.ts";
import { combineRows } from "./_stack.ts";

const kernel = new Kernel({ name: "cholesky_inverse", source, bindings: ["read", "write"] });

/** Most rows of {@linkcode wellConditioned}: a single workgroup factors the Gram matrix, n³ steps by few threads. */
export const maxCholeskyRows = 64;

/**
 * Added to each diagonal element of a Gram matrix, relatively: above the rounding of its elements, √m·2⁻²⁴ for lengths m
 * of some thousands, times √n.
 */
const shift = 2 ** -16;

/**
 * Nearly orthonormal rows with the span of those of `y` [N, n, stride], n at most 64, by two passes of Cholesky QR with a
 * shift: n²·m work in matrix products and a small factorisation. Rows scaled to length 1 and of condition up to 10⁵ come out
 * with a condition below 2; of rows that are dependent to rounding some come out short. That is enough between
 * the steps of a power iteration, where Householder QR costs more than the products.
 */
export function wellConditioned(y: Rows): Rows {
  return tidy(() => pass(pass(y)));
}

function pass(y: Rows): Rows {
  const [batch, n] = extentsOf(y);
  const gram = gramOf(y);
  const inverse = empty(y.gpu, [batch, n, n]);
  const constants = laneConstants[y.gpu.adapter.class];
  launch(kernel, {
    tensors: [gram, inverse],
    params: [n, batch],
    workgroups: [Math.ceil(batch / constants.GROUPS), 1, 1],
    constants: { ...constants, SHIFT: shift },
  });
  return combineRows(inverse, y);
}

/** Inner products of the rows of each stack, [N, n, n]. */
function gramOf(y: Rows): Tensor {
  const [batch, n, stride] = extentsOf(y);
  const view = { tensor: y, row: stride, inner: n * stride };
  const gram = empty(y.gpu, [batch, n, n]);
  gemm({
    a: view,
    b: view,
    c: { tensor: gram, row: n, inner: n * n },
    m: n,
    n,
    k: stride,
    batch: [1, batch],
    transposeB: true,
  });
  return gram;
}
