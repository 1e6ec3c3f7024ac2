import type { ColumnData, Columns } from "../models/mod.ts";

/** Numbers of the same type as others, all 0. */
export function zerosAs<Data extends ColumnData>(data: Data, length: number): Data {
  return new (data.constructor as new (length: number) => Data)(length);
}

/** Something of each column, by the same names. */
export function mapColumns<Result>(
  columns: Columns,
  map: (column: Columns[string]) => Result,
): Readonly<Record<string, Result>> {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, map(column)]));
}
