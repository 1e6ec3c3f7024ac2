import { readParquet } from "../parquet/read_parquet.ts";
import type { ReadInto } from "./read_into.ts";

/** Rows of a Parquet file, with the names of classes that it has. */
export const readParquetInto: ReadInto = async (path, rows, { content, ...options }) => {
  if (content !== undefined) {
    throw new RangeError(
      `Cannot read ${path}: Parquet is read from a path alone, not in a page; write CSV or JSONL`,
    );
  }
  rows.beginFile(path, { unit: "row" });
  let number = 0;
  const groups = readParquet(path, {
    ...options,
    maxRows: options.maxRows - rows.rows.length,
    onInfo: ({ columns, classNames }) => {
      rows.addColumns(columns);
      for (const [column, names] of classNames) rows.addClassNames(column, names);
    },
  });
  for await (const group of groups) for (const row of group) rows.add(row, ++number);
};
