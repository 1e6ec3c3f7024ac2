import { int8Layout, isStorageOnly } from "../../tensor.ts";
import type { GemmOptions, MatrixView } from "./gemm.ts";
import { pack, type TexelMatrix } from "./_pack.ts";
import { padRows } from "./_pad_rows.ts";

/** The operands of a product in texels. */
export interface TexelOperands {
  readonly a: TexelMatrix;
  readonly b: TexelMatrix;
}

/**
 * Copies both operands into texels, where the adapter reads these faster, if each element is read often enough to pay for it.
 * The layout of a product then no longer matters, nor do odd sizes. No bit depends on the copy.
 */
export function packOperands(options: GemmOptions): TexelOperands | undefined {
  const { a, b, c, m, n, k, batch = [1, 1], transposeA = false, transposeB = false } = options;
  const { adapter } = c.tensor.gpu;
  const count = batch[0] * batch[1];
  const readsOf = ({ outer = 0, inner = 0 }: MatrixView, each: number) =>
    outer === 0 && inner === 0 ? count * each : each;
  if (
    adapter.class !== "cpu" || !adapter.readsTexels || adapter.subgroupSize === undefined || k === 0 ||
    m < fewestRows ||
    1 / readsOf(a, n) + 1 / readsOf(b, m) > 1 / readsWorthTexels
  ) return undefined;
  const scaled = b.tensor.dtype === "int8" && !transposeB ? { ...b, scalesAt: scalesAt(b) } : undefined;
  const packedA = pack(a, {
    rows: m,
    k,
    batch,
    transposed: transposeA,
    vec: isVectorizable(a, transposeA ? m : k),
    fill: 0,
    scaled,
  });
  const packedB = pack(b, {
    rows: n,
    k,
    batch,
    transposed: !transposeB,
    vec: isVectorizable(b, transposeB ? k : n),
    fill: -0,
  });
  if (packedA && packedB) return { a: packedA, b: packedB };
  packedA?.dispose();
  packedB?.dispose();
  return undefined;
}

/** Fewer rows than these leave a tile of the texels' kernel half empty. */
const fewestRows = 16;
/** As many reads of an element, in the mean of both operands, pay for its copy (measured on Mesa's llvmpipe). */
const readsWorthTexels = 64;

/**
 * Copies operands whose rows aren't multiples of four, if they are read so often that reading four elements at a time pays
 * for the copy: on CPUs, where loads dominate the cost. The padding after the last k changes no sum, so no bit depends on
 * the copy.
 */
export function padOperands({ a, b, c, m, n, k, batch = [1, 1], ...options }: GemmOptions) {
  const { transposeA = false, transposeB = false } = options;
  const padded: { a?: MatrixView; b?: MatrixView } = {};
  const { class: adapterClass, subgroupSize } = c.tensor.gpu.adapter;
  if (adapterClass !== "cpu" || subgroupSize === undefined || batch[0] * batch[1] !== 1 || k === 0) {
    return padded;
  }
  const [widthA, widthB] = [transposeA ? m : k, transposeB ? k : n];
  if (n >= readsWorthCopy && m >= readsWorthCopy && k >= readsWorthCopy) {
    if (!isVectorizable(a, widthA)) {
      padded.a = padRows(a, { rows: transposeA ? k : m, width: widthA, value: 0 });
    }
    if (!isVectorizable(b, widthB) && !isStorageOnly(b.tensor.dtype)) {
      padded.b = padRows(b, { rows: transposeB ? n : k, width: widthB, value: -0 });
    }
  }
  return padded;
}

/** The smallest side of a product whose operands are worth a copy. */
const readsWorthCopy = 64;

/** The word of an `int8` tensor at which its scales begin. */
export function scalesAt({ tensor: { dtype, shape } }: MatrixView): number {
  if (dtype !== "int8") return 0;
  const { rows, words } = int8Layout(shape);
  return rows * words;
}

/** Whether four elements of a matrix can be read at once, its stored rows having `extent` of them. */
export function isVectorizable(
  { offset = 0, row, outer = 0, inner = 0, padded = false }: MatrixView,
  extent: number,
): boolean {
  return [offset, row, outer, inner, padded ? 0 : extent].every((value) => value % 4 === 0);
}
