import type { Gpu } from "../../gpu/device.ts";
import { type Tensor, tensor } from "../../tensor.ts";
import { keep } from "../../tidy.ts";

/**
 * Maps the distance between two positions of a sequence to a row of a table. The distance is query − key and is below
 * `reach` in both directions. Rows must not decrease as the distance grows, so that the distances of a row are neighbours.
 *
 * It holds two small tensors until it's disposed.
 *
 * @example
 * ```ts
 * // A row for each of −2 to 2; longer distances use the outer rows.
 * const positions = new RelativePositions(gpu, [0, 0, 1, 2, 3, 4, 4]);
 * ```
 */
export class RelativePositions {
  /** The smallest distance that has no row; also the longest sequence. */
  readonly reach: number;
  /** Rows of the table that are used: one more than the last. */
  readonly size: number;
  /** The row of each distance from −(reach − 1) to reach − 1, u32. */
  readonly rows: Tensor;
  /** For each row, and after the last, the number of distances whose rows come before it, u32 [size + 1]. */
  readonly starts: Tensor;
  readonly #rows: Uint32Array;

  /**
   * @param rows the row of each distance from −(reach − 1) to reach − 1.
   * @throws {RangeError} when there's no distance 0 in the middle, or the rows aren't whole numbers that never decrease.
   */
  constructor(gpu: Gpu, rows: ArrayLike<number>) {
    if (rows.length % 2 !== 1) {
      throw new RangeError(`Cannot map ${rows.length} distances to rows: expected an odd number of them`);
    }
    for (let i = 0; i < rows.length; i++) {
      const [before, row] = [rows[i - 1] ?? 0, rows[i]!];
      if (!Number.isSafeInteger(row) || row < before) {
        throw new RangeError(
          `Cannot map distances to rows: row ${row} follows ${before}, expected whole numbers that never decrease`,
        );
      }
    }
    this.#rows = Uint32Array.from(rows);
    this.reach = (rows.length + 1) / 2;
    this.size = this.#rows.at(-1)! + 1;
    const starts = new Uint32Array(this.size + 1);
    for (const row of this.#rows) starts[row + 1]!++;
    for (let row = 0; row < this.size; row++) starts[row + 1]! += starts[row]!;
    this.rows = keep(tensor(gpu, this.#rows));
    this.starts = keep(tensor(gpu, starts));
  }

  /**
   * The rows that sequences of a length use, at `first` and the `count` rows from there, widened to multiples of four
   * where the table goes on.
   */
  span(length: number): { first: number; count: number } {
    const middle = this.reach - 1;
    const first = Math.floor(this.#rows[middle - (length - 1)]! / 4) * 4;
    const end = Math.ceil((this.#rows[middle + (length - 1)]! + 1) / 4) * 4;
    return { first, count: Math.min(end, this.size) - first };
  }

  /** Frees the tensors. */
  dispose(): void {
    this.rows.dispose();
    this.starts.dispose();
  }

  /** As {@linkcode RelativePositions.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
