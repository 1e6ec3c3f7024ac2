import type { Scores } from "../tasks/mod.ts";
import { megabytes } from "../experiment/text/megabytes.ts";
import { scoreTitle } from "../experiment/text/score_title.ts";
import type { Baseline, MethodSummary } from "../experiment/run/summary.ts";
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
export function resultsTable(
  { baseline, runs: summaries }: {
    readonly baseline: Baseline | null;
    readonly runs: readonly MethodSummary[];
  },
): string {
  const before = summaries.find(({ before }) => before !== null)?.before;
  const rows: Row[] = [
    ...(baseline ? [baseline] : []),
    ...(before ? [{ name: "before training", scores: before.scores }] : []),
    ...summaries.map((summary) => ({ name: summary.label, scores: summary.after?.scores, summary })),
  ];
  const metrics = new Set(rows.flatMap(({ scores }) => Object.keys(scores ?? {})));
  const scores = [...metrics].map((metric) =>
    number(scoreTitle(metric), ({ scores }) => scores?.[metric]?.toFixed(3))
  );
  const finished = rows.filter(({ summary }) => summary?.status === "finished");
  return [
    formatTable(rows, [name, ...scores], { note: ({ summary }) => summary && describeEnd(summary) }),
    ...finished.length > 0 ? [formatTable(finished, [name, ...costs])] : [],
  ].join("\n\n");
}

/** Why a run has no scores; undefined where it has. */
export function describeEnd({ status, error, rounds }: MethodSummary): string | undefined {
  if (status === "finished") return undefined;
  const after = rounds > 0 ? ` after round ${rounds}` : "";
  return `${status}${after}${error === undefined ? "" : `: ${error}`}`;
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
