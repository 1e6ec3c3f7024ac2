import type { MethodStatistics, ScoreStatistics } from "../../experiment/run/compare_runs.ts";
import type { RunResults } from "../../experiment/run/run_experiment.ts";
import type { MethodSummary } from "../../experiment/run/summary.ts";
import type { Effect } from "../../experiment/statistics/crossed_effects.ts";
import { meanOf, type Sample } from "../../experiment/statistics/sample.ts";
import type { Interval } from "../../experiment/statistics/student_t.ts";
import { megabytes } from "../../experiment/text/megabytes.ts";
import { scoreTitle } from "../../experiment/text/score_title.ts";
import { type ClientsRow, clientsTable } from "./clients_table.ts";
import { describeRun } from "../terminal/method_printer.ts";
import { describeEnd, number } from "./results_table.ts";
import { formatTable } from "./table.ts";

type Statistics = Readonly<Record<string, ScoreStatistics>>;

/**
 * The tables that end a run of several replicates: scores as mean ± sd over the replicates, costs, differences to the first
 * method, and where the variance comes from.
 */
export function replicatesTable({ baseline, runs, statistics }: RunResults): string {
  const all = statistics ?? {};
  const scores = Object.fromEntries(
    Object.entries(all).filter(([name]) => name !== "loss" && !name.startsWith("clients.")),
  );
  const labels = [...new Set(runs.map(({ label }) => label))];
  return [
    scoreTable(scores, { baseline, runs, labels }),
    ...clientsTable(labels.flatMap((label) => clientsRows(all, label))),
    ...costTable(runs, labels),
    ...differenceTable(scores, labels),
    ...varianceTable(scores, labels),
  ].join("\n\n");
}

/** A line of the table of scores. */
interface ScoreRow {
  readonly name: string;
  readonly cells: Readonly<Record<string, string>>;
  readonly runs?: string;
  readonly note?: string | undefined;
}

function scoreTable(
  scores: Statistics,
  { baseline, runs, labels }: Pick<RunResults, "baseline" | "runs"> & { readonly labels: readonly string[] },
): string {
  const names = Object.keys(scores);
  const cells = (label: string, when: "before" | "after") =>
    Object.fromEntries(names.map((name) => [name, describeSample(of(scores[name]!, label)[when])]));
  const first = labels.find((label) => names.some((name) => of(scores[name]!, label).before !== null));
  const fixed = (value: number) => value.toFixed(3);
  const rows: ScoreRow[] = [
    ...baseline === null ? [] : [{
      name: baseline.name,
      cells: Object.fromEntries(Object.entries(baseline.scores).map(([name, value]) => [name, fixed(value)])),
    }],
    ...first === undefined ? [] : [{ name: "before training", cells: cells(first, "before") }],
    ...labels.map((label) => ({
      name: label,
      cells: cells(label, "after"),
      runs: countFinished(runs, label),
    })),
    ...runs.filter(({ status }) => status !== "finished").map((run) => ({
      name: describeRun(run),
      cells: {},
      note: describeEnd(run),
    })),
  ];
  return formatTable(rows, [
    { title: "mean ± sd", cell: ({ name }) => name },
    ...names.map((name) => number<ScoreRow>(scoreTitle(name), ({ cells }) => cells[name])),
    { title: "runs", cell: ({ runs }) => runs ?? "", align: "right" },
  ], { note: ({ note }) => note });
}

/** Scores over clients, as mean ± sd over the replicates. */
function clientsRows(all: Statistics, label: string): ClientsRow[] {
  const cell = (score: string, part: string) => {
    const statistics = all[`clients.${score}.${part}`];
    return describeSample(statistics === undefined ? null : of(statistics, label).after);
  };
  return Object.entries(all).flatMap(([name, statistics]) => {
    const score = /^clients\.(.+)\.mean$/.exec(name)?.[1];
    if (score === undefined || of(statistics, label).after === null) return [];
    const [mean, worstDecile, deviation] = [
      cell(score, "mean"),
      cell(score, "worstDecile"),
      cell(score, "deviation"),
    ];
    return [{ label, score, mean, worstDecile, deviation }];
  });
}

function countFinished(runs: readonly MethodSummary[], label: string): string {
  const own = runs.filter((run) => run.label === label);
  const finished = own.filter(({ status }) => status === "finished").length;
  return finished === own.length ? String(finished) : `${finished} of ${own.length}`;
}

/** What a method's runs took, each; of those that finished. */
function costTable(runs: readonly MethodSummary[], labels: readonly string[]): string[] {
  const rows = labels.map((label) => ({
    label,
    runs: runs.filter((run) => run.label === label && run.status === "finished"),
  })).filter((row) => row.runs.length > 0);
  type Row = typeof rows[number];
  const mean = (value: (run: MethodSummary) => number | null) => (row: Row) => {
    const known = row.runs.map(value).filter((each) => each !== null);
    return known.length === 0 ? undefined : meanOf(known);
  };
  if (rows.length === 0) return [];
  const [up, down, seconds] = [
    mean(({ bytesUp }) => bytesUp),
    mean(({ bytesDown }) => bytesDown),
    mean(({ seconds }) => seconds),
  ];
  const error = mean(({ measures }) => measures["appliedError"] ?? null);
  const lost = mean(({ lost }) => lost);
  return [formatTable(rows, [
    { title: "mean of a run", cell: ({ label }) => label },
    number("rounds to target", (row) => {
      const reached = row.runs.flatMap(({ roundsToTarget }) => roundsToTarget ?? []);
      if (reached.length === 0) return undefined;
      const some = reached.length < row.runs.length ? ` (${reached.length} of ${row.runs.length})` : "";
      return `${meanOf(reached).toFixed(1)}${some}`;
    }),
    number("MB up", (row) => megabytes(up(row)!)),
    number("MB down", (row) => megabytes(down(row)!)),
    number("seconds", (row) => seconds(row)!.toFixed(0)),
    ...rows.some((row) => lost(row)! > 0) ? [number<Row>("lost", (row) => lost(row)!.toFixed(1))] : [],
    ...rows.some((row) => row.runs.some(({ measures }) => "appliedError" in measures))
      ? [number<Row>("aggregation error", (row) => error(row)?.toFixed(3))]
      : [],
  ])];
}

/** Each method against the first, over the pairs of runs that both finished. */
function differenceTable(scores: Statistics, labels: readonly string[]): string[] {
  const rows = labels.slice(1).flatMap((label) =>
    Object.entries(scores).flatMap(([name, statistics]) => {
      const { difference } = of(statistics, label);
      return difference === null ? [] : [{ label, name, difference }];
    })
  );
  if (rows.length === 0) return [];
  const isCrossed = rows.some(({ difference }) => difference.crossed !== null);
  const table = formatTable(rows, [
    { title: `minus ${labels[0]}`, cell: ({ label }) => label },
    { title: "score", cell: ({ name }) => scoreTitle(name) },
    number("difference", ({ difference }) => signed(difference.mean)),
    number("95 % interval", ({ difference }) => describeInterval(difference.interval)),
    ...isCrossed
      ? [
        number<typeof rows[number]>("new draws, seeds", ({ difference }) =>
          describeInterval(difference.crossed)),
      ]
      : [],
    number("pairs", ({ difference }) => String(difference.count)),
  ]);
  return [
    isCrossed
      ? `${table}\n95 % interval: Student's, over pairs of runs. Runs that share a draw or a seed are not\n` +
        "independent; the interval for new draws and seeds allows for that."
      : table,
  ];
}

/** What makes the scores vary, over the methods that finished every replicate. */
function varianceTable(scores: Statistics, labels: readonly string[]): string[] {
  const found = Object.entries(scores).flatMap(([name, { variance }]) =>
    variance ? [{ name, ...variance }] : []
  );
  const [first] = found;
  if (first === undefined) return [];
  const alike = found.filter(({ methods }) => methods.join() === first.methods.join());
  const rows = first.effects.map(({ factors }, i) => ({
    source: factors.join(" × "),
    effects: Object.fromEntries(alike.map(({ name, effects }) => [name, effects[i]!])),
  }));
  const table = formatTable(rows, [
    { title: "variance (sd) from", cell: ({ source }) => source },
    ...alike.map(({ name }) =>
      number<typeof rows[number]>(scoreTitle(name), ({ effects }) => describeEffect(effects[name]!))
    ),
  ]);
  const isPartial = first.methods.length < labels.length;
  return [isPartial ? `${table}\nOf ${first.methods.join(", ")}, which finished every run.` : table];
}

function describeEffect({ share, variance }: Effect): string | undefined {
  return share === null ? undefined : `${(100 * share).toFixed(0)} % (${Math.sqrt(variance).toFixed(4)})`;
}

function describeSample(sample: Sample | null): string {
  if (sample === null) return "–";
  const { mean, sd } = sample;
  return sd === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${sd.toFixed(3)}`;
}

function describeInterval(interval: Interval | null): string | undefined {
  return interval === null ? undefined : `${signed(interval.low)} to ${signed(interval.high)}`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

function of({ methods }: ScoreStatistics, label: string): MethodStatistics {
  return methods.find((each) => each.label === label)!;
}
