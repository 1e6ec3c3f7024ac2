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

/** Notes that a column looks like the second text, but isn't read as such. */
export function noteUnusedPair(
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
