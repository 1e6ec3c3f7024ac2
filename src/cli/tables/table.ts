import { printable } from "../../data/text/printable.ts";
import { cut } from "../../experiment/text/cut.ts";

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Text is usually left-aligned, numbers right-aligned. */
  readonly align?: "left" | "right";
  /** Whether long text may go on in the next line; off by default. */
  readonly wrap?: boolean;
}

/** Options of {@linkcode formatTable}. */
export interface TableOptions<Row> {
  /** Characters that a line may have; 80 by default. */
  readonly width?: number;
  /** A text that replaces all cells but the first. */
  readonly note?: (row: Row) => string | undefined;
}

const narrowest = 20;

/**
 * A table as plain text: a head, a rule and a line for each row, columns as wide as their longest cell. Where that is too
 * wide, text of columns that `wrap` is broken into lines, and a first cell that is too long gets a line of
 * its own. Cells are made {@linkcode printable}.
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
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: TableOptions<Row> = {},
): string {
  const { width = 80, note = () => undefined } = options;
  const head = columns.map(({ title }) => title);
  const lines = rows.map((row) => {
    const text = note(row);
    const [first, ...others] = columns;
    return text === undefined
      ? { cells: columns.map(({ cell }) => printable(cell(row))) }
      : { cells: [printable(first!.cell(row)), ...others.map(() => "")], note: printable(text) };
  });
  const widths = fit(widthsOf([head, ...lines.map(({ cells }) => cells)]), columns, width);
  const rule = widths.map((each) => "-".repeat(each));
  const join = (cells: readonly string[]) =>
    cells.map((text, j) => pad(text, widths[j]!, columns[j]!.align ?? "left")).join("  ").trimEnd();
  return [
    join(head),
    rule.join("  "),
    ...lines.flatMap(({ cells: [name = "", ...rest], note }) => {
      const stacked = lengthOf(name) > widths[0]!;
      const above = stacked ? [cut(name, width)] : [];
      const start = stacked ? "" : name;
      if (note !== undefined) return [...above, cut(`${pad(start, widths[0]!, "left")}  ${note}`, width)];
      return [...above, ...wrapped([start, ...rest], widths, columns).map(join)];
    }),
  ].join("\n");
}

function widthsOf(lines: readonly (readonly string[])[]): number[] {
  return lines[0]!.map((_, j) => lines.reduce((most, line) => Math.max(most, lengthOf(line[j]!)), 0));
}

/** Narrows columns that wrap, then the first one, until a line fits. */
function fit(widths: readonly number[], columns: readonly Column<never>[], width: number): number[] {
  const fitted = [...widths];
  const narrow = (j: number, least: number) => {
    const over = fitted.reduce((sum, each) => sum + each + 2, -2) - width;
    if (over > 0) fitted[j] = Math.max(Math.min(least, fitted[j]!), fitted[j]! - over);
  };
  columns.forEach(({ wrap }, j) => wrap && narrow(j, narrowest));
  narrow(0, columns[0]!.title.length);
  return fitted;
}

/** The lines of a row. */
function wrapped(
  cells: readonly string[],
  widths: readonly number[],
  columns: readonly Column<never>[],
): string[][] {
  const parts = cells.map((text, j) => columns[j]!.wrap ? wrap(text, widths[j]!) : [text]);
  const height = parts.reduce((most, { length }) => Math.max(most, length), 1);
  return Array.from({ length: height }, (_, i) => parts.map((lines) => lines[i] ?? ""));
}

/** Breaks a text between words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && lengthOf(longer) <= width) lines[lines.length - 1] = longer;
    else lines.push(cut(word, width));
  }
  return lines;
}

/** In code points: `length` counts UTF-16 units. */
function lengthOf(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - lengthOf(text)));
  return align === "left" ? text + space : space + text;
}
