import { printable } from "../data/printable.ts";

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Text is usually left-aligned, numbers right-aligned. */
  readonly align?: "left" | "right";
}

/**
 * A table as plain text: a head, a rule and a line for each row, columns as wide as their longest cell.
 * Cells are made {@linkcode printable}.
 *
 * @example
 * ```ts
 * formatTable([{ n: "a", x: 1 }], [{ title: "name", cell: (row) => row.n }, {
 *   title: "x",
 *   cell: (row) => String(row.x),
 *   align: "right",
 * }]); // "name  x\n----  -\na     1"
 * ```
 */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => printable(cell(row)))),
  ];
  const widths = columns.map((_, j) => Math.max(...cells.map((line) => [...line[j]!].length)));
  const lines = cells.map((line) =>
    line.map((text, j) => pad(text, widths[j]!, columns[j]!.align ?? "left")).join("  ").trimEnd()
  );
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [lines[0]!, rule, ...lines.slice(1)].join("\n");
}

/** Pads by code points: `padEnd` counts UTF-16 units. */
function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(width - [...text].length);
  return align === "left" ? text + space : space + text;
}
