import source from "../../../shaders/compression/quantize.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { rowConstants } from "../reduction/row_launch.ts";
import { checkOperands, gridOf, launch } from "../launch.ts";

const rowMaximaKernel = new Kernel({
  name: "row_maxima",
  source,
  entry: "row_maxima",
  bindings: ["read", "write"],
});
const quantizeKernel = new Kernel({
  name: "quantize",
  source,
  entry: "quantize",
  bindings: ["read", "read", "read", "write"],
});

/** Options of {@linkcode quantizeRows}. */
export interface QuantizeRowsOptions {
  /** Levels of each sign besides 0, at most 127: 127 fills 8 bits, 7 fills 4. */
  readonly levels: number;
  /** Philox keys, u32 [C, 2]: one for each entry of the first axis. */
  readonly keys: Tensor;
  /** Two words that distinguish the draws of several tensors under one key. */
  readonly site: readonly [number, number];
}

/**
 * The values [C, …] as they come back from quantisation of each row (last axis) with stochastic rounding: a multiple of m/levels, m
 * being the row's largest magnitude, whose mean over the draws is the value (QSGD, Alistarh et al., arXiv 1610.02132, section
 * 3.1, with the largest magnitude in place of the norm). A value moves by less than m/levels; m, −m and 0 don't move, and −0
 * becomes 0. Every adapter gives the same bits. A row with NaN or infinity becomes NaN. No gradient goes through it.
 *
 * Whether a value is rounded up depends on its entry's key, the site, and its row and column alone: neither on C, nor on what
 * follows the row or column.
 *
 * @throws {RangeError} when there are fewer than 1 or more than 127 levels.
 * @throws {TypeError} when the keys don't fit.
 */
export function quantizeRows(x: Tensor, options: QuantizeRowsOptions): Tensor {
  const { levels, keys, site } = options;
  if (!(Number.isInteger(levels) && levels >= 1 && levels <= 127)) {
    throw new RangeError(`Cannot quantize to ${levels} levels: expected a whole number from 1 to 127`);
  }
  checkOperands("quantize", [x]);
  checkOperands("quantize by keys", [keys], "u32");
  const [members, ...own] = x.shape;
  if (members === undefined || keys.shape.length !== 2 || keys.shape[0] !== members || keys.shape[1] !== 2) {
    throw new TypeError(
      `Cannot quantize ${formatShape(x.shape)} by keys ${
        formatShape(keys.shape)
      }: expected [C, …] and [C, 2]`,
    );
  }
  const columns = own.at(-1) ?? 1;
  const rowsPerMember = sizeOf(own.slice(0, -1));
  const rows = members * rowsPerMember;
  const y = empty(x.gpu, x.shape);
  if (x.size === 0) return y;
  using maxima = rowMaxima(x, { rows, columns });
  const threads = rows * Math.ceil(columns / 4);
  launch(quantizeKernel, {
    tensors: [x, maxima, keys, y],
    params: [rows, columns, rowsPerMember, ...site],
    threads,
    constants: constantsFor(x, columns, levels),
  });
  return y;
}

/** The bits of the largest magnitude of each row, u32 [rows]; those of infinity or more where a row holds infinity or NaN. */
export function rowMaxima(
  x: Tensor,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): Tensor {
  const maxima = empty(x.gpu, [rows], "u32");
  const constants = constantsFor(x, columns, 127);
  launch(rowMaximaKernel, {
    tensors: [x, maxima],
    params: [rows, columns, rows, 0, 0],
    workgroups: gridOf(Math.ceil(rows / constants.GROUPS)),
    constants,
  });
  return maxima;
}

function constantsFor(x: Tensor, columns: number, levels: number) {
  const { LANES, GROUPS } = rowConstants(x, columns);
  return { LANES, GROUPS, LEVELS: levels };
}
