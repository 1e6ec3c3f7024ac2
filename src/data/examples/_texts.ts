import type { TextColumns } from "./example_columns.ts";
import type { RowReader } from "./_row_reader.ts";
import type { RowSet } from "../rows/row_set.ts";

const UNUSED_PAIR = "textPair";

/** The columns that texts are read from. */
export function textColumns(
  { textColumn = "text", textPairColumn, keyColumn }: TextColumns,
): (string | undefined)[] {
  return [textColumn, textPairColumn, keyColumn];
}

/** Says so where a column has the name of the part, and nobody said that it plays it. */
export function tellUnusedPair(
  set: Pick<RowSet, "columns">,
  { textColumn = "text", textPairColumn }: TextColumns,
  onNotice?: (message: string) => void,
): void {
  if (textPairColumn !== undefined || textColumn === UNUSED_PAIR || !set.columns.has(UNUSED_PAIR)) return;
  onNotice?.(
    `Column ${UNUSED_PAIR} isn't used: "textPair": "${UNUSED_PAIR}" in columns, or --column textPair=${UNUSED_PAIR}, ` +
      "makes it the second text",
  );
}

/** The text of a row, or its pair of texts. */
export function textsOf(row: RowReader, { textColumn = "text", textPairColumn }: TextColumns) {
  return {
    text: row.text(textColumn),
    ...(textPairColumn !== undefined && { textPair: row.text(textPairColumn) }),
  };
}
