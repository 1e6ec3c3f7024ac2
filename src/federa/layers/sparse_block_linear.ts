import {
  concat,
  formatShape,
  linear,
  type LinearEpilogue,
  matmul,
  mul,
  permute,
  reshape,
  type Shape,
  slice,
  type Tensor,
  zeros,
} from "../../engine/mod.ts";
import { AdaptedLinear, type FrozenLinear } from "./adapted_linear.ts";
import { withEpilogue } from "./epilogue.ts";

/** The parts of a {@linkcode SparseBlockLinear}. */
export interface SparseBlockLinearOptions extends FrozenLinear {
  /** Changes of n blocks of the weight, [n, l, l] or [C, n, l, l]: what is trained. What is beyond the weight's edges stays 0. */
  readonly blocks: Tensor;
  /** Row of the grid of each block: 1 at [row, block], [⌈out/l⌉, n]; zeros elsewhere. */
  readonly blockRows: Tensor;
  /** Column of the grid of each block: 1 at [block, column], [n, ⌈in/l⌉]. */
  readonly blockColumns: Tensor;
}

/**
 * A linear layer of which some dense blocks l×l are trained (SMT, He et al., arXiv 2405.15525). The input's parts that the blocks see are
 * gathered, multiplied block by block, and added up by the rows of the grid; no client has a weight of its own. Gathering is a product with
 * zeros and ones, which is exact.
 */
export class SparseBlockLinear extends AdaptedLinear {
  readonly blocks: Tensor;
  readonly blockRows: Tensor;
  readonly blockColumns: Tensor;

  /** @throws {TypeError} when the shapes don't agree. */
  constructor({ weight, bias, blocks, blockRows, blockColumns }: SparseBlockLinearOptions) {
    super({ weight, bias });
    this.blocks = blocks;
    this.blockRows = blockRows;
    this.blockColumns = blockColumns;
    const [count = 0, size = 0] = blocks.shape.slice(-3);
    const [rows, columns] = blockGrid(weight.shape, size);
    const fits = blocks.shape.at(-1) === size && blockRows.shape.join() === `${rows},${count}` &&
      blockColumns.shape.join() === `${count},${columns}`;
    if (!fits) {
      throw new TypeError(
        `Cannot train blocks ${formatShape(blocks.shape)} of a weight ${
          formatShape(weight.shape)
        } with rows ${formatShape(blockRows.shape)} and columns ${
          formatShape(blockColumns.shape)
        }: expected [n, l, l], [⌈out/l⌉, n] and [n, ⌈in/l⌉]`,
      );
    }
  }

  override forward(x: Tensor, epilogue: LinearEpilogue = {}): Tensor {
    const { weight, bias } = this;
    return withEpilogue(linear(x, { weight, bias, residual: blockUpdate(x, this) }), epilogue);
  }

  /** The blocks at their places in a matrix [out, in] of zeros. */
  override delta(): Tensor {
    const { weight, blocks, blockRows, blockColumns } = this;
    if (blocks.ndim !== 3) {
      throw new TypeError(
        `Cannot make a matrix of blocks ${formatShape(blocks.shape)}: expected one model's [n, l, l]`,
      );
    }
    const [count, size] = blocks.shape as [number, number];
    const [rows, columns] = blockGrid(weight.shape, size);
    const places = mul(
      reshape(blockRows, [rows, 1, count]),
      reshape(permute(blockColumns, [1, 0]), [1, columns, count]),
    );
    const grid = matmul(reshape(places, [rows * columns, count]), reshape(blocks, [count, size * size]));
    const ordered = permute(reshape(grid, [rows, columns, size, size]), [0, 2, 1, 3]);
    const [out, width] = weight.shape.slice(-2) as [number, number];
    return slice(cut(reshape(ordered, [rows * size, columns * size]), width), { start: 0, end: out });
  }
}

/** ΔW·x, for x [C, ..., in], or any axes where the blocks have no client axis. */
function blockUpdate(x: Tensor, layer: SparseBlockLinear): Tensor {
  const { weight, blocks, blockRows, blockColumns } = layer;
  const [out, width] = weight.shape.slice(-2) as [number, number];
  const [count, size] = blocks.shape.slice(-3) as [number, number];
  const [rows, columns] = blockGrid(weight.shape, size);
  const members = blocks.ndim === 4 ? blocks.shape[0]! : 1;
  const flat = reshape(x, [members, -1, width]);
  const height = flat.shape[1]!;
  const whole = reshape(padded(flat, columns * size), [members, height, columns, size]);
  const byColumn = reshape(permute(whole, [0, 2, 1, 3]), [members, columns, height * size]);
  const gathered = reshape(matmul(blockColumns, byColumn), [members * count, height, size]);
  // Each block of each member is a member.
  const products = linear(gathered, { weight: reshape(blocks, [members * count, size, size]) });
  const byBlock = permute(reshape(products, [members, count, height, size]), [0, 2, 3, 1]);
  const added = matmul(byBlock, blockRows, { transposeB: true });
  const result = reshape(permute(added, [0, 1, 3, 2]), [members, height, rows * size]);
  return reshape(cut(result, out), [...x.shape.slice(0, -1), out]);
}

/** Rows and columns of the grid of l×l blocks that covers a weight [out, in]; the last ones may reach beyond it. */
export function blockGrid(weight: Shape, size: number): [rows: number, columns: number] {
  return [Math.ceil(weight.at(-2)! / size), Math.ceil(weight.at(-1)! / size)];
}

/** The last axis filled up with zeros. */
function padded(x: Tensor, width: number): Tensor {
  const missing = width - x.shape.at(-1)!;
  return missing === 0 ? x : concat([x, zeros(x.gpu, [...x.shape.slice(0, -1), missing])], { axis: -1 });
}

/** The last axis without what is beyond. */
function cut(x: Tensor, width: number): Tensor {
  return x.shape.at(-1) === width ? x : slice(x, { axis: -1, start: 0, end: width });
}
