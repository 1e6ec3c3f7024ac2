import type { Scores } from "../../tasks/mod.ts";
import { megabytes } from "../../experiment/text/megabytes.ts";
import { scoreTitle } from "../../experiment/text/score_title.ts";
import type { Baseline, MethodSummary } from "../../experiment/run/summary.ts";
import { type ClientsRow, clientsTable } from "./clients_table.ts";
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
    number<Row>(scoreTitle(metric), ({ scores }) => scores?.[metric]?.toFixed(3))
  );
  const finished = rows.filter(({ summary }) => summary?.status === "finished");
  return [
    formatTable(rows, [name, ...scores], { note: ({ summary }) => summary && describeEnd(summary) }),
    ...clientsTable(summaries.flatMap(clientsRows)),
    ...finished.length > 0 ? [formatTable(finished, [name, ...costColumns(finished)])] : [],
  ].join("\n\n");
}

/** Why a run has no scores; undefined where it has. */
export function describeEnd({ status, error, rounds }: MethodSummary): string | undefined {
  if (status === "finished") return undefined;
  const after = rounds > 0 ? ` after round ${rounds}` : "";
  return `${status}${after}${error === undefined ? "" : `: ${error}`}`;
}

const name: Column<Row> = { title: "method", cell: ({ name }) => name };

function clientsRows({ label, clients }: MethodSummary): ClientsRow[] {
  return Object.entries(clients?.scores ?? {}).map(([score, { mean, worstDecile, deviation }]) => ({
    label,
    score,
    mean: mean.toFixed(3),
    worstDecile: worstDecile.toFixed(3),
    deviation: deviation.toFixed(3),
  }));
}

function costColumns(rows: readonly Row[]): Column<Row>[] {
  const isLossy = rows.some(({ summary }) => summary !== undefined && summary.lost > 0);
  const isMeasured = rows.some(({ summary }) => summary !== undefined && "appliedError" in summary.measures);
  const isPrivate = rows.some(({ summary }) => summary?.privacy !== undefined);
  return [
    ...costs,
    ...isLossy ? [lostClients] : [],
    ...isMeasured ? [aggregationError] : [],
    ...isPrivate ? [epsilon] : [],
  ];
}

const costs: readonly Column<Row>[] = [
  number<Row>("rounds to target", ({ summary }) => summary?.roundsToTarget?.toString()),
  number<Row>("MB up", ({ summary }) => summary && megabytes(summary.bytesUp)),
  number<Row>("MB down", ({ summary }) => summary && megabytes(summary.bytesDown)),
  number<Row>("seconds", ({ summary }) => summary?.seconds.toFixed(0)),
];

const lostClients = number<Row>("lost", ({ summary }) => summary?.lost.toString());
const aggregationError = number<Row>(
  "aggregation error",
  ({ summary }) => summary?.measures["appliedError"]?.toFixed(3),
);

const epsilon = number<Row>("ε", ({ summary }) => summary?.privacy?.epsilon.toPrecision(3));

/** A column of numbers; a dash where there is none. */
export function number<Row>(title: string, value: (row: Row) => string | undefined): Column<Row> {
  return { title, cell: (row) => value(row) ?? "–", align: "right" };
}
