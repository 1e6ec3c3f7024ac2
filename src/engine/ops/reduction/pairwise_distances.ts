import source from "../../../shaders/reduction/pairwise_distances.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands, gridOf, launch } from "../launch.ts";

const kernel = new Kernel({ name: "pairwise_distances", source, bindings: ["read", "write"] });

/**
 * ‖x_i − x_j‖₂ of all pairs along the first axis, [n, n], for x [n, ...]: symmetric to the bit, 0 where both are equal. It is taken from
 * the differences, scaled by the largest, so that neither a common offset nor large or tiny values spoil it. No gradient goes through
 * it.
 *
 * @throws {TypeError} for a scalar.
 *
 * @example
 * ```ts no-run
 * await pairwiseDistances(tensor(gpu, [0, 0, 3, 4], { shape: [2, 2] })).floats(); // 0, 5, 5, 0
 * ```
 */
export function pairwiseDistances(x: Tensor): Tensor {
  checkOperands("measure distances in", [x]);
  const n = x.shape[0];
  if (n === undefined) {
    throw new TypeError(`Cannot measure distances in ${formatShape(x.shape)}: expected [n, ...]`);
  }
  const distances = empty(x.gpu, [n, n]);
  const size = n === 0 ? 0 : x.size / n;
  launch(kernel, { tensors: [x, distances], params: [n, size], workgroups: gridOf(n * n) });
  return distances;
}
