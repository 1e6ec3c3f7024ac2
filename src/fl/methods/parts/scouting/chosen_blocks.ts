import {
  concat,
  equal,
  type Gpu,
  mul,
  reshape,
  type Shape,
  slice,
  sum,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../../../engine/mod.ts";
import { blockGrid } from "../../../../federa/mod.ts";

/** Places in a grid as rows and columns, [2, n]. */
export function rowsAndColumns(gpu: Gpu, places: readonly number[], columns: number): Tensor {
  const rows = places.map((place) => Math.floor(place / columns));
  return tensor(gpu, [...rows, ...places.map((place) => place % columns)], { shape: [2, places.length] });
}

/** Rows and columns of blocks [2, n] as a `SparseBlockLinear` of a weight takes them. */
export function blockPlaces(
  places: Tensor,
  { weight, size }: { readonly weight: Shape; readonly size: number },
): { readonly blockRows: Tensor; readonly blockColumns: Tensor } {
  const count = places.shape[1]!;
  const [rows, columns] = blockGrid(weight, size);
  const from = (length: number) => Array.from({ length }, (_, i) => i);
  const { gpu } = places;
  return tidy(() => ({
    blockRows: equal(
      tensor(gpu, from(rows), { shape: [rows, 1] }),
      slice(places, { start: 0, end: 1 }),
    ),
    blockColumns: equal(
      reshape(slice(places, { start: 1, end: 2 }), [count, 1]),
      tensor(gpu, from(columns), { shape: [1, columns] }),
    ),
  }));
}

/** The mean of x [C, out, in] over each block of l×l, of the part of it that is within x: [C, ⌈out/l⌉, ⌈in/l⌉]. */
export function blockMeans(x: Tensor, size: number): Tensor {
  return tidy(() => {
    const [members, out, width] = x.shape as [number, number, number];
    const [rows, columns] = blockGrid(x.shape, size);
    const fill = (part: Tensor, axis: number, missing: number) =>
      missing === 0
        ? part
        : concat([part, zeros(x.gpu, part.shape.map((extent, i) => i === axis ? missing : extent))], {
          axis,
        });
    const whole = fill(fill(x, 1, rows * size - out), 2, columns * size - width);
    const sums = sum(reshape(whole, [members, rows, size, columns, size]), { axes: [2, 4] });
    const extent = (i: number, of: number) => Math.min(size, of - i * size);
    const shares = Float32Array.from(
      { length: rows * columns },
      (_, i) => 1 / (extent(Math.floor(i / columns), out) * extent(i % columns, width)),
    );
    return mul(sums, tensor(x.gpu, shares, { shape: [1, rows, columns] }));
  });
}
