import { clone, mul, slice, type Tensor } from "../../../../engine/mod.ts";
import { type LowRankProduct, lowRankSvd, type Svd } from "../../../../engine/linalg/mod.ts";

/** The triplets of a product, and how many of the leading ones hold a share of its energy; the caller disposes them. */
export async function decomposeByEnergy(
  product: LowRankProduct,
  share: number,
): Promise<{ readonly svd: Svd; readonly count: number }> {
  const svd = await lowRankSvd(product);
  const values = await svd.s.floats();
  // A rehearsal knows no values: it takes as much as there may be.
  return { svd, count: svd.s.gpu.isRehearsing ? values.length : energyRank(values, share) };
}

/** The least number of leading singular values that hold a share of the energy Σ s_j²; 0 where all are 0. */
export function energyRank(values: ArrayLike<number>, share: number): number {
  const squares = Array.from(values, (value) => value ** 2);
  const total = squares.reduce((sum, square) => sum + square, 0);
  let [sum, count] = [0, 0];
  while (count < squares.length && sum < share * total) sum += squares[count++]!;
  return count;
}

/** The triplets from `start` to `end` of a decomposition as a product, U·S beside Vᵀ; undefined where there are none. */
export function tripletsOf(
  { u, s, vt }: { readonly u: Tensor; readonly s: Tensor; readonly vt: Tensor },
  { start, end }: { readonly start: number; readonly end: number },
): LowRankProduct | undefined {
  if (end <= start) return undefined;
  const part = (x: Tensor, axis: number) => slice(x, { axis, start, end });
  return { b: mul(part(u, 1), part(s, 0)), a: clone(part(vt, 0)) };
}
