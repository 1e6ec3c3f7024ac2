import type {
  BudgetSummary,
  ComparisonSummary,
  ContenderSummary,
  SettingSummary,
} from "../../experiment/compare/summarize_comparison.ts";
import type { PairedDifference } from "../../experiment/statistics/paired_difference.ts";
import type { Interval } from "../../experiment/statistics/student_t.ts";
import type { Sample } from "../../experiment/statistics/sample.ts";
import { megabytes } from "../../experiment/text/megabytes.ts";
import { scoreTitle } from "../../experiment/text/score_title.ts";
import { markdownTable } from "./markdown_table.ts";
import { number } from "./results_table.ts";
import type { Column } from "./table.ts";

/** A line of a table over settings: a method, and what it came to in each. */
interface Line {
  readonly label: string;
  readonly bySetting: ReadonlyMap<string, ContenderSummary>;
}

/** The tables of a comparison, in Markdown. */
export function comparisonTables(summary: ComparisonSummary): string {
  const { runs: { done }, settings } = summary;
  if (done === 0) return "No run of the comparison has a record yet.";
  const lines = linesOf(settings);
  return [
    scoreTables(summary),
    section(
      "Costs and targets",
      `${markdownTable(lines, costColumns(summary))}\n\nTrained: values in the first round.`,
    ),
    section(
      "Error of aggregation, and steadiness",
      `${markdownTable(lines, steadinessColumns(summary))}\n\n${steadinessNote}`,
    ),
    ...clientsSection(summary, lines),
    section("Variance", varianceTable(settings)),
    section("Learning rates", rateTable(summary)),
  ].join("\n\n");
}

/** The tables of scores alone: after equal steps, and at equal bytes, of the first so many budgets. */
export function scoreTables(
  summary: ComparisonSummary,
  { numBudgets }: { readonly numBudgets?: number } = {},
): string {
  const { runs: { done, planned }, settings, metric } = summary;
  const title = scoreTitle(metric);
  const lines = linesOf(settings);
  const budgets = settings.find(({ methods }) => methods.length > 0)?.methods[0]?.budgets ?? [];
  return [
    `${done} of ${planned} runs. Scores are ${title}, as mean ± sd over draws and seeds; differences to ${summary.reference} are ` +
    "means over pairs of the same draw and seed, with Student's 95 % interval: * where it excludes zero, ** where the wider interval " +
    "for new draws and seeds does too. (n) counts runs where some are missing; own: means over clients' own models, each on its " +
    "client's test data.",
    section("Equal steps", markdownTable(lines, scoreColumns(summary, (method) => method))),
    ...budgets.slice(0, numBudgets).map(({ bytes }, i) =>
      section(
        `Equal bytes: the last evaluation within ${megabytes(bytes)} MB up and down`,
        markdownTable(lines, scoreColumns(summary, (method) => method.budgets[i]!)),
      )
    ),
  ].join("\n\n");
}

const steadinessNote =
  "Means over rounds and runs. E: what averaging A and B apart loses of the exact change; applied: what the method itself makes of it. " +
  "Falls: by how much scores fell from one evaluation to the next, over a run. Turn: 1 − cos between columns of the adapted weights " +
  "before and after a round.";

function section(title: string, table: string): string {
  return `### ${title}\n\n${table}`;
}

function linesOf(settings: readonly SettingSummary[]): Line[] {
  const labels = [...new Set(settings.flatMap(({ methods }) => methods.map(({ label }) => label)))];
  return labels.map((label) => ({
    label,
    bySetting: new Map(
      settings.flatMap((setting) => {
        const found = setting.methods.find((method) => method.label === label);
        return found ? [[setting.label, found] as const] : [];
      }),
    ),
  }));
}

const name: Column<Line> = { title: "method", cell: ({ label }) => label };

/** A column for each setting of one figure. */
function perSetting(
  { settings }: ComparisonSummary,
  title: string,
  value: (method: ContenderSummary) => string | undefined,
): Column<Line>[] {
  return settings.map(({ label }) =>
    number<Line>(`${label}: ${title}`, ({ bySetting }) => {
      const found = bySetting.get(label);
      return found && value(found);
    })
  );
}

function scoreColumns(
  summary: ComparisonSummary,
  of: (method: ContenderSummary) => ContenderSummary | BudgetSummary,
): Column<Line>[] {
  const { settings, reference } = summary;
  const scores = perSetting(summary, "score", (method) => describeScore(of(method).score, method));
  const differences = perSetting(
    summary,
    `minus ${reference}`,
    (method) => describeDifference(of(method).difference),
  );
  return [name, ...settings.flatMap((_, i) => [scores[i]!, differences[i]!])];
}

function costColumns(summary: ComparisonSummary): Column<Line>[] {
  const first = ({ bySetting }: Line) => bySetting.values().next().value;
  const targets = summary.settings[0]?.methods[0]?.targets ?? [];
  return [
    name,
    number("trained", (line) => first(line)?.trainableParameters?.toLocaleString("en")),
    number("MB up", (line) => bytesCell(first(line)?.bytesUp)),
    number("MB down", (line) => bytesCell(first(line)?.bytesDown)),
    ...targets.flatMap(({ value }, i) =>
      perSetting(summary, `rounds, MB to ${value}`, ({ targets, runs }) => {
        const { reached, rounds, bytes } = targets[i]!;
        if (rounds === null || bytes === null) return undefined;
        const some = reached < runs.finished ? ` (${reached} of ${runs.finished})` : "";
        return `${rounds.toFixed(1)}, ${megabytes(bytes)}${some}`;
      })
    ),
  ];
}

function steadinessColumns(summary: ComparisonSummary): Column<Line>[] {
  // Where clients keep what they train, the model that is measured doesn't move.
  const measure = (name: string) => ({ measures, isPersonal }: ContenderSummary) =>
    isPersonal ? undefined : short(measures[name]);
  return [
    name,
    ...perSetting(summary, "E", measure("aggregationError")),
    ...perSetting(summary, "applied", measure("appliedError")),
    ...perSetting(summary, "falls", ({ falls }) => falls?.mean.toFixed(3)),
    ...perSetting(summary, "turn", measure("directionFromLastRound")),
  ];
}

/** Scores over clients on their own test data, of the methods that have them. */
function clientsSection(summary: ComparisonSummary, lines: readonly Line[]): string[] {
  const scored = lines.filter(({ bySetting }) => [...bySetting.values()].some(({ clients }) => clients));
  if (scored.length === 0) return [];
  const table = markdownTable(scored, [
    name,
    ...perSetting(summary, "mean", ({ clients }) => clients ? describe(clients.mean) : undefined),
    ...perSetting(
      summary,
      "worst tenth",
      ({ clients }) => clients ? describe(clients.worstDecile) : undefined,
    ),
  ]);
  return [section("Scores over clients, each on its own test data", table)];
}

function varianceTable(settings: readonly SettingSummary[]): string {
  const known = settings.filter(({ variance }) => variance !== null);
  const sources = known[0]?.variance?.effects.map(({ factors }) => factors.join(" × ")) ?? [];
  const rows = sources.map((source, i) => ({ source, i }));
  const table = markdownTable(rows, [
    { title: "variance (sd) from", cell: ({ source }) => source },
    ...known.map(({ label, variance }) =>
      number<typeof rows[number]>(label, ({ i }) => {
        const { share, variance: amount } = variance!.effects[i]!;
        return share === null ? undefined : `${(100 * share).toFixed(0)} % (${Math.sqrt(amount).toFixed(4)})`;
      })
    ),
  ]);
  const compared = known.map(({ label, variance }) => `${label}: ${variance!.methods.join(", ")}`);
  return `${table}\n\nOf the methods that train one model for all and finished every replicate. ${
    compared.join("; ")
  }.`;
}

/** The rates that were tried in the setting that they were tuned in, with their scores on validation. */
function rateTable({ settings, metric }: ComparisonSummary): string {
  const rows = settings.flatMap(({ label: setting, methods }) =>
    methods.flatMap(({ label, tuned, learningRate }) =>
      tuned === null ? [{ label, setting, chosen: `${learningRate}, as given`, tried: "" }] : [{
        label,
        setting,
        chosen: `${learningRate}${tuned.edge === undefined ? "" : `, the ${tuned.edge}`}`,
        tried: tuned.tried.map(({ learningRate, evaluation }) =>
          `${learningRate}: ${evaluation?.scores[metric]?.toFixed(3) ?? "diverged"}`
        ).join("; "),
      }]
    )
  );
  const alike = (a: typeof rows[number], b: typeof rows[number]) =>
    a.label === b.label && a.tried === b.tried;
  const distinct = rows.filter((row, i) => rows.findIndex((other) => alike(row, other)) === i);
  const isTunedTwice = new Set(distinct.map(({ label }) => label)).size < distinct.length;
  return markdownTable(distinct, [
    { title: "method", cell: ({ label }) => label },
    ...isTunedTwice ? [{ title: "setting", cell: ({ setting }: typeof rows[number]) => setting }] : [],
    { title: "rate", cell: ({ chosen }) => chosen },
    { title: "tried, on validation", cell: ({ tried }) => tried },
  ]);
}

function describeScore(score: Sample | null, { runs, isPersonal }: ContenderSummary): string | undefined {
  const notes = [
    ...score !== null && score.count < runs.planned ? [`(${score.count})`] : [],
    ...runs.diverged > 0 ? [`(${runs.diverged} diverged)`] : [],
    ...isPersonal ? ["own"] : [],
  ];
  return score === null && notes.length === 0
    ? undefined
    : [score ? describe(score) : "–", ...notes].join(" ");
}

function describe({ mean, sd }: Sample): string {
  return sd === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${sd.toFixed(3)}`;
}

/** The mean difference with Student's interval; a star where that excludes zero, two where the wider one for new draws and seeds does. */
function describeDifference(difference: PairedDifference | null): string | undefined {
  if (difference === null) return undefined;
  const { mean, crossed, interval } = difference;
  if (interval === null) return signed(mean);
  const stars = excludesZero(crossed) ? "**" : excludesZero(interval) ? "*" : "";
  return `${signed(mean)} (${signed(interval.low)} to ${signed(interval.high)})${stars}`;
}

function excludesZero(interval: Interval | null): boolean {
  return interval !== null && interval.low * interval.high > 0;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

function bytesCell(bytes: number | null | undefined): string | undefined {
  return typeof bytes === "number" ? megabytes(bytes) : undefined;
}

/** A number with three digits that count. */
function short(value: number | null | undefined): string | undefined {
  if (value === null || value === undefined) return undefined;
  return value === 0 || Math.abs(value) >= 0.01 ? value.toFixed(3) : value.toExponential(1);
}
