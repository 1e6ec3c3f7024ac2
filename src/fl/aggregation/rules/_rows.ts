import {
  addWeighted,
  clone,
  keep,
  mul,
  noRow,
  slice,
  sortColumns,
  sum,
  takeRows,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../../engine/mod.ts";
import { Held } from "../../held.ts";
import type { Tensors } from "../../tensors.ts";

/** Another tensor for each one of a map, with memory of its own. */
export function mapTensors(
  values: Tensors,
  change: (value: Tensor, name: string) => Tensor,
): Map<string, Tensor> {
  using held = new Held();
  const changed = new Map(
    [...values].map(([name, value]) => [name, held.hold(keep(tidy(() => clone(change(value, name)))))]),
  );
  return held.release(changed);
}

/** Σ_i weights[i]·x[i], [...] for x [n, ...], added up in the order of rows. */
export function weightedRows(x: Tensor, weights: readonly number[]): Tensor {
  const total = zeros(x.gpu, x.shape.slice(1));
  addWeighted(total, x, tensor(x.gpu, weights));
  return total;
}

/** The weights by which {@linkcode weightedRows} gives the mean of some of n rows. */
export function meanOf(places: readonly number[], n: number): number[] {
  const isTaken = new Set(places);
  return Array.from({ length: n }, (_, i) => isTaken.has(i) ? 1 / places.length : 0);
}

/** Some rows of x [n, ...], in their order: [m, ...]. */
export function rowsAt(x: Tensor, places: readonly number[]): Tensor {
  const inverse = new Uint32Array(x.shape[0]!).fill(noRow);
  places.forEach((place, i) => inverse[place] = i);
  return takeRows(x, {
    index: tensor(x.gpu, Uint32Array.from(places)),
    inverse: tensor(x.gpu, inverse),
  });
}

/** The mean [...] of the rows of x [n, ...] from one on, up to another. */
export function meanOfRows(x: Tensor, start: number, end: number): Tensor {
  return mul(sum(slice(x, { start, end }), { axes: [0] }), 1 / (end - start));
}

/** The coordinate-wise median [...] of x [n, ...]; where n is even, the mean of the middle two. */
export function medianOf(x: Tensor): Tensor {
  const n = x.shape[0]!;
  return meanOfRows(sortColumns(x), Math.floor((n - 1) / 2), Math.floor(n / 2) + 1);
}
