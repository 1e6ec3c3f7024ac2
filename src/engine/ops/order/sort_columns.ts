import source from "../../../shaders/order/sort_columns.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { checkOperands, launch } from "../launch.ts";

const sortKernel = new Kernel({ name: "sort_columns", source, bindings: ["read", "write"] });
const nearKernel = new Kernel({ name: "near_median", source, entry: "near", bindings: ["read", "write"] });

/** The longest column that is sorted: WGSL allows a thread 8 KiB of variables. */
export const longestColumn = 1024;

/**
 * The values along the first axis in ascending order, for x [n, ...]; those that are equal keep their order. No gradient goes
 * through it. Values must be finite.
 *
 * @throws {RangeError} when n is 0 or above 1024.
 *
 * @example
 * ```ts no-run
 * const [, median] = await sortColumns(tensor(gpu, [3, 1, 2], { shape: [3, 1] })).floats(); // 2
 * ```
 */
export function sortColumns(x: Tensor): Tensor {
  const n = rowsOf(x, "sort the columns of");
  const y = empty(x.gpu, x.shape);
  const inner = x.size / n;
  launch(sortKernel, { tensors: [x, y], params: [inner, 0], threads: inner, constants: { N: n } });
  return y;
}

/**
 * The mean [...] of the `count` values of each sorted column [n, ...] that are nearest to its median, the mean of the middle two
 * where n is even. Of two ends that are as far from it the upper one goes. No gradient goes through it.
 *
 * @throws {RangeError} when n is 0 or above 1024, or count isn't a whole number from 1 to n.
 */
export function meanNearMedian(sorted: Tensor, count: number): Tensor {
  const n = rowsOf(sorted, "take a mean near the median of");
  if (!(Number.isInteger(count) && count >= 1 && count <= n)) {
    throw new RangeError(
      `Cannot take the mean of the ${count} values nearest to a median: expected 1 to ${n}`,
    );
  }
  const y = empty(sorted.gpu, sorted.shape.slice(1));
  launch(nearKernel, { tensors: [sorted, y], params: [y.size, count], threads: y.size, constants: { N: n } });
  return y;
}

function rowsOf(x: Tensor, action: string): number {
  checkOperands(action, [x]);
  const n = x.shape[0] ?? 0;
  if (n < 1 || n > longestColumn) {
    throw new RangeError(`Cannot ${action} ${formatShape(x.shape)}: expected 1 to ${longestColumn} rows`);
  }
  return n;
}
