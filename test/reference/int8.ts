import { F64Array } from "./array.ts";

/** A row as whole numbers and their scale. */
export interface Int8Row {
  readonly levels: readonly number[];
  readonly scale: number;
}

/**
 * Row by row the nearest whole multiples of the row's largest magnitude divided by 127, which is rounded to float32 first, at
 * least 2^-126, and one step less where 127 times it would be infinite.
 *
 * Float64 decides rightly: a 127th of a float32 has the period 7 in binary, so it never looks like a tie of float32; and two
 * float32 whose quotient is not half a whole number below 128 miss that by 2^-26 of it.
 */
export function int8Rows({ data, shape }: F64Array): Int8Row[] {
  const columns = shape.at(-1)!;
  return Array.from({ length: data.length / columns }, (_, row) => {
    const values = [...data.subarray(row * columns, (row + 1) * columns)];
    const largest = Math.max(...values.map(Math.abs));
    const nearest = Math.fround(largest / 127);
    const scale = Math.max(
      2 ** -126,
      Number.isFinite(Math.fround(127 * nearest)) ? nearest : nearest - 2 ** 98,
    );
    return { levels: values.map((value) => toEven(value / scale)), scale };
  });
}

/** The values that the rows stand for, exactly. */
export function int8Values(x: F64Array): F64Array {
  return F64Array.from(x.shape, int8Rows(x).flatMap(({ levels, scale }) => levels.map((q) => q * scale)));
}

function toEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value) + 0;
  return below % 2 === 0 ? below : below + 1;
}
