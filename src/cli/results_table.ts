import type { Evaluation } from "../fl/mod.ts";
import { megabytes } from "./reporter.ts";
import type { MajorityBaseline, MethodSummary } from "./summary.ts";
import { type Column, formatTable } from "./table.ts";

/** A line of the table; whatever a line has nothing to say of is a dash. */
interface Row {
  readonly name: string;
  readonly scores: Pick<Evaluation, "accuracy" | "macroF1"> | null;
  readonly summary?: MethodSummary;
}

/** The table that ends a run: the baseline, the model before training, and each method. */
export function resultsTable(baseline: MajorityBaseline, summaries: readonly MethodSummary[]): string {
  const before = summaries[0]?.before;
  const rows: Row[] = [
    { name: `always "${baseline.label}"`, scores: baseline },
    ...(before ? [{ name: "before training", scores: before }] : []),
    ...summaries.map((summary) => ({ name: summary.label, scores: summary.after, summary })),
  ];
  return formatTable(rows, columns);
}

const columns: readonly Column<Row>[] = [
  { title: "method", cell: ({ name }) => name },
  number("accuracy", ({ scores }) => scores?.accuracy.toFixed(3)),
  number("macro-F1", ({ scores }) => scores?.macroF1.toFixed(3)),
  number("rounds to target", ({ summary }) => summary?.roundsToTarget?.toString()),
  number("MB up", ({ summary }) => summary && megabytes(summary.bytesUp)),
  number("MB down", ({ summary }) => summary && megabytes(summary.bytesDown)),
  number("seconds", ({ summary }) => summary?.seconds.toFixed(0)),
  number("aggregation error", ({ summary }) => summary?.appliedError?.toFixed(3)),
];

function number(title: string, value: (row: Row) => string | undefined): Column<Row> {
  return { title, cell: (row) => value(row) ?? "–", align: "right" };
}
