import { printable } from "../../data/text/printable.ts";
import type { Column } from "./table.ts";

/**
 * A table in Markdown.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const columns = [{ title: "name", cell: (row: string) => row }] as const;
 * assert.equal(markdownTable(["a|b"], columns), "| name |\n| --- |\n| a\\|b |");
 * ```
 */
export function markdownTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const escape = (text: string) => printable(text).replaceAll("|", "\\|");
  return [
    line(columns.map(({ title }) => escape(title))),
    line(columns.map(({ align }) => align === "right" ? "---:" : "---")),
    ...rows.map((row) => line(columns.map(({ cell }) => escape(cell(row))))),
  ].join("\n");
}
