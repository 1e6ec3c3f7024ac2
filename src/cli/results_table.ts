import type { Scores } from "../tasks/mod.ts";
import { megabytes } from "./reporter.ts";
import { scoreTitle } from "./score_title.ts";
import type { Baseline, MethodSummary } from "./summary.ts";
import { type Column, formatTable } from "./table.ts";

/** A line of the table; whatever a line has nothing to say of is a dash. */
interface Row {
  readonly name: string;
  readonly scores: Scores | undefined;
  readonly summary?: MethodSummary;
}

/**
 * The tables that end a run: the scores of the baseline, of the model before training and of each method, then what
 * each method took.
 */
export function resultsTable(baseline: Baseline | null, summaries: readonly MethodSummary[]): string {
  const before = summaries[0]?.before;
  const rows: Row[] = [
    ...(baseline ? [baseline] : []),
    ...(before ? [{ name: "before training", scores: before.scores }] : []),
    ...summaries.map((summary) => ({ name: summary.label, scores: summary.after?.scores, summary })),
  ];
  const metrics = new Set(rows.flatMap(({ scores }) => Object.keys(scores ?? {})));
  const scores = [...metrics].map((metric) =>
    number(scoreTitle(metric), ({ scores }) => scores?.[metric]?.toFixed(3))
  );
  return [
    formatTable(rows, [name, ...scores]),
    formatTable(rows.filter(({ summary }) => summary !== undefined), [name, ...costs]),
  ].join("\n\n");
}

const name: Column<Row> = { title: "method", cell: ({ name }) => name };

const costs: readonly Column<Row>[] = [
  number("rounds to target", ({ summary }) => summary?.roundsToTarget?.toString()),
  number("MB up", ({ summary }) => summary && megabytes(summary.bytesUp)),
  number("MB down", ({ summary }) => summary && megabytes(summary.bytesDown)),
  number("seconds", ({ summary }) => summary?.seconds.toFixed(0)),
  number("aggregation error", ({ summary }) => summary?.appliedError?.toFixed(3)),
];

function number(title: string, value: (row: Row) => string | undefined): Column<Row> {
  return { title, cell: (row) => value(row) ?? "–", align: "right" };
}
