import source from "../../shaders/take_rows.wgsl";
import { record } from "../autograd.ts";
import { Kernel } from "../gpu/kernel.ts";
import { formatShape, sameShape, sizeOf } from "../shape.ts";
import { empty, isStorageOnly, type Tensor } from "../tensor.ts";
import { checkOperands, launch } from "./launch.ts";

const kernel = new Kernel({ name: "take_rows", source, bindings: ["read", "read", "write"] });

/** The index of a row that {@linkcode takeRows} leaves at zero. */
export const noRow = 0xffffffff;

/** Which rows go where. */
export interface RowMap {
  /** u32, of the shape that the result's rows have: the place of each in x, or {@linkcode noRow} for zeros. */
  readonly index: Tensor;
  /** u32, of the shape that the rows of x have: the place of each in the result, or {@linkcode noRow} where it isn't taken. */
  readonly inverse: Tensor;
}

/**
 * Puts rows of x [...inverse.shape, ...row] elsewhere: [...index.shape, ...row], in which row i is the row `index[i]` of x, counted
 * over all its leading axes. No row is taken twice, so the gradient takes the rows back by `inverse`. Elements may be of any type
 * that can be read on the host.
 *
 * @throws {TypeError} when the shapes don't agree.
 * @example
 * ```ts no-run
 * const index = tensor(gpu, Uint32Array.of(2, 0, noRow));
 * const inverse = tensor(gpu, Uint32Array.of(1, noRow, 0));
 * takeRows(x, { index, inverse }); // x₂, x₀, 0
 * ```
 */
export function takeRows(x: Tensor, { index, inverse }: RowMap): Tensor {
  checkOperands("take rows by", [index, inverse], "u32");
  checkOperands("take rows of", [x], isStorageOnly(x.dtype) ? "f32" : x.dtype);
  const { ndim } = inverse;
  if (!sameShape(x.shape.slice(0, ndim), inverse.shape)) {
    throw new TypeError(
      `Cannot take rows of ${formatShape(x.shape)}: expected ${
        formatShape(inverse.shape)
      } rows, as inverse has`,
    );
  }
  const row = x.shape.slice(ndim);
  const width = sizeOf(row);
  const y = empty(x.gpu, [...index.shape, ...row], x.dtype);
  const VEC = width % 4 === 0;
  launch(kernel, {
    tensors: [index, x, y],
    params: [index.size, VEC ? width / 4 : width, inverse.size],
    threads: VEC ? y.size / 4 : y.size,
    constants: { VEC },
  });
  return record(y, [x], [(dy) => takeRows(dy, { index: inverse, inverse: index })], []);
}
