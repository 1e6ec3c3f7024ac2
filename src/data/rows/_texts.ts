import type { TextColumns } from "./example_columns.ts";
import type { RowReader } from "./_row_reader.ts";

/** The columns that texts are read from. */
export function textColumns(
  { textColumn = "text", textPairColumn, keyColumn }: TextColumns,
): (string | undefined)[] {
  return [textColumn, textPairColumn, keyColumn];
}

/** The text of a row, or its pair of texts. */
export function textsOf(row: RowReader, { textColumn = "text", textPairColumn }: TextColumns) {
  return {
    text: row.text(textColumn),
    ...(textPairColumn !== undefined && { textPair: row.text(textPairColumn) }),
  };
}
