import type { Goal, Row, Suite } from "./contender.ts";
import { geometricMean, median } from "./measure.ts";
import { peerNames } from "./peers/mod.ts";

/** A row as it is printed and recorded. */
export interface RowReport {
  readonly name: string;
  /** Samples of each contender. */
  readonly samples: number;
  /** Milliseconds, or what the suite counts in, by contender. */
  readonly medians: Readonly<Record<string, number>>;
  /** Each other contender's median over the subject's: above 1 the subject is faster. */
  readonly ratios: Readonly<Record<string, number>>;
  /** The subject's rate. */
  readonly gflops?: number;
  /** The rate of nothing but multiply-adds, measured between the same samples. */
  readonly ceilingGflops?: number;
  /** The rate at which the row's loads alone would take all the time, measured between the same samples. */
  readonly loadsGflops?: number;
  readonly figures?: Readonly<Record<string, number>>;
  readonly note?: string;
}

/** A suite as it is printed and recorded. */
export interface SuiteReport {
  readonly suite: string;
  readonly title: string;
  readonly subject: string;
  /** What samples are counted in. */
  readonly unit: string;
  /** Libraries that it compares with, each a column even where it could not be timed. */
  readonly peers: readonly string[];
  readonly rows: readonly RowReport[];
  /** Why a peer has no times. */
  readonly remarks: readonly string[];
  /** Geometric mean over the rows of the best peer's time over ours; null without peers. */
  readonly geomeanOverBestPeer: number | null;
  /** What it must show, what it showed, and whether that is enough; null for a suite that only informs. */
  readonly goal: ({ readonly what: string } & ReturnType<Goal["check"]>) | null;
}

/** Medians, ratios and rates of a row. */
export function reportRow(row: Row, subject: string): RowReport {
  const { name, note, figures, flops, ceilingFlops, loads, boundLoads, samples } = row;
  const all = Object.entries(samples).map(([contender, times]) => [contender, median(times)] as const);
  const timeOf = (contender: string) => all.find(([each]) => each === contender)![1];
  const own = timeOf(subject);
  const others = all.filter(([contender]) => !["ceiling", "loads", subject].includes(contender));
  return {
    name,
    samples: samples[subject]!.length,
    medians: Object.fromEntries([[subject, own], ...others]),
    ratios: Object.fromEntries(
      others.map(([contender, time]) => [contender, time / own]),
    ),
    ...(flops !== undefined && { gflops: flops / own / 1e6 }),
    ...(ceilingFlops !== undefined &&
      { ceilingGflops: ceilingFlops / timeOf("ceiling") / 1e6 }),
    ...(flops !== undefined && loads !== undefined && boundLoads !== undefined &&
      { loadsGflops: flops / loads * boundLoads / timeOf("loads") / 1e6 }),
    ...(figures !== undefined && { figures }),
    ...(note !== undefined && { note }),
  };
}

/** The rows of a suite and how they stand to the best of the peers. */
export function reportSuite(
  { name, title, subject, goal, unit = "ms", comparesPeers = false }: Suite,
  rows: readonly RowReport[],
  remarks: readonly string[],
): SuiteReport {
  const peers: readonly string[] = comparesPeers ? peerNames : [];
  const best = rows.flatMap(({ ratios }) => {
    const met = peers.flatMap((peer) => ratios[peer] ?? []);
    return met.length > 0 ? [Math.min(...met)] : [];
  });
  const report: SuiteReport = {
    suite: name,
    title,
    subject,
    unit,
    peers,
    rows,
    remarks: comparesPeers ? remarks : [],
    geomeanOverBestPeer: best.length > 0 ? geometricMean(best) : null,
    goal: null,
  };
  return goal === undefined ? report : { ...report, goal: { what: goal.what, ...goal.check(report) } };
}

/** What each suite must show beside what it showed. */
export function formatGoals(reports: readonly SuiteReport[]): string {
  const rows = reports.flatMap(({ suite, goal }) =>
    goal === null ? [] : [[suite, goal.what, goal.measured, goal.holds ? "yes" : "NO"]]
  );
  return formatTable([["suite", "must show", "measured", "holds"], ...rows]).join("\n");
}

/** Columns of text, each as wide as its widest cell. */
function formatTable(cells: readonly (readonly string[])[]): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  return cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd());
}

/** A suite as a table for a terminal. */
export function formatSuite(report: SuiteReport): string {
  const { title, suite, subject, unit, peers, rows, remarks, geomeanOverBestPeer } = report;
  const others = [
    ...new Set([
      ...peers,
      ...rows.flatMap(({ ratios }) => Object.keys(ratios)),
    ]),
  ];
  const hasRate = rows.some(({ gflops }) => gflops !== undefined);
  const hasCeiling = rows.some(({ ceilingGflops }) => ceilingGflops !== undefined);
  const header = [
    "",
    `${subject} ${unit}`.trim(),
    ...(hasRate ? ["GFLOP/s"] : []),
    ...(hasCeiling ? ["of bound"] : []),
    ...others.flatMap((contender) => [`${contender} ${unit}`.trim(), "ratio"]),
    "samples",
  ];
  const cells = rows.map((row) => [
    row.name,
    formatNumber(row.medians[subject]),
    ...(hasRate ? [formatNumber(row.gflops)] : []),
    ...(hasCeiling ? [formatShare(row)] : []),
    ...others.flatMap((contender) => [
      formatNumber(row.medians[contender]),
      row.ratios[contender] === undefined ? "–" : `${row.ratios[contender].toFixed(2)}×`,
    ]),
    String(row.samples),
  ]);
  const widths = header.map((_, column) =>
    Math.max(...[header, ...cells].map((line) => line[column]!.length))
  );
  const lines = [header, ...cells].map((line, i) => {
    const note = i > 0 ? rows[i - 1]!.note : undefined;
    const padded = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    );
    return `${padded.join("  ")}${note === undefined ? "" : `  ${note}`}`
      .trimEnd();
  });
  const summary = geomeanOverBestPeer === null ? [] : [
    `Best peer's time over ours, geometric mean: ${geomeanOverBestPeer.toFixed(2)}×`,
  ];
  return [
    `${suite}: ${title}`,
    ...lines,
    ...remarks.map((each) => `! ${each}`),
    ...summary,
  ].join("\n");
}

function formatNumber(value: number | undefined): string {
  return value === undefined ? "–" : value.toPrecision(value < 1000 ? 3 : 4);
}

/** The share of the lower bound, and which that is. */
function formatShare({ gflops, ceilingGflops, loadsGflops = Infinity }: RowReport): string {
  if (gflops === undefined || ceilingGflops === undefined) return "–";
  const bound = Math.min(ceilingGflops, loadsGflops);
  const kind = loadsGflops < ceilingGflops ? "loads" : "sums";
  return `${(100 * gflops / bound).toFixed(0)} % of ${bound.toFixed(0)} (${kind})`;
}
