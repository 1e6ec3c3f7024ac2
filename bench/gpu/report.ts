import { availableParallelism, cpus, totalmem } from "node:os";
import type { Ceilings } from "./ceilings.ts";
import { type GpuRow, wrongChecks } from "./row.ts";
import type { TestFile } from "./tests.ts";
import type { PeerDescription } from "./torch.ts";

/** How a stage ended, and its rows. */
export interface StageReport {
  status: "done" | "failed" | "stopped" | "no time" | "running";
  seconds: number;
  rows: GpuRow[];
  error?: string;
}

/** Everything that a run of `npm run bench:gpu` found: its JSON. */
export interface GpuReport {
  readonly date: string;
  readonly arguments: readonly string[];
  readonly machine: { readonly processor: string; readonly cores: number; readonly gigabytes: number };
  readonly versions: Readonly<Record<string, string>>;
  /** What `nvidia-smi` says, where there is one. */
  readonly driver: string | null;
  adapter: Readonly<Record<string, unknown>> | null;
  ceilings: Ceilings | null;
  torch: PeerDescription | { readonly missing: string } | null;
  tests: { seconds: number; concurrency: number; files: TestFile[] } | null;
  readonly stages: Record<string, StageReport>;
  seconds: number;
  /** Where, and the first line of what went wrong. */
  failures: { where: string; line: string }[];
}

/** The machine that this runs on. */
export function describeMachine(): GpuReport["machine"] {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    gigabytes: Math.round(totalmem() / 2 ** 30),
  };
}

/** Every failing test, wrong result and failed stage. */
export function failuresOf({ tests, stages }: Pick<GpuReport, "tests" | "stages">): GpuReport["failures"] {
  return [
    ...(tests?.files ?? []).flatMap(({ file, failures }) =>
      failures.map(({ name, error }) => ({ where: `${file}: ${name}`, line: firstLine(error) }))
    ),
    ...Object.entries(stages).flatMap(([stage, { status, error = "", rows }]) => [
      ...status === "failed" ? [{ where: stage, line: firstLine(error) }] : [],
      ...rows.flatMap((row) =>
        wrongChecks(row).map(({ what, found, allowed }) => ({
          where: `${stage}: ${row.name}`,
          line: `${what}: ${found.toPrecision(3)}, allowed ${allowed.toPrecision(3)}`,
        }))
      ),
    ]),
  ];
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]!.slice(0, 240);
}

const slowestShown = 5;
const failuresShown = 25;

/** The whole in less than 12,000 characters, the failures last. */
export function formatReport(report: GpuReport): string {
  const { adapter, ceilings, torch, driver, tests, stages, failures, versions, machine } = report;
  const lines = [
    `adapter   ${adapter?.["description"] ?? "none"}, class ${adapter?.["class"]}, subgroups ${
      adapter?.["subgroupSize"] ?? "of no fixed size"
    }; ${machine.cores} cores`,
    ...driver === null ? [] : [`driver    ${driver}`],
    `versions  ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")}`,
    `pytorch   ${
      torch === null
        ? "not asked"
        : "missing" in torch
        ? `none: ${torch.missing}`
        : `${torch.device}; ${
          Object.entries(torch.versions).map(([name, version]) => `${name} ${version}`).join(", ")
        }`
    }`,
    ...ceilings === null ? [] : [
      `ceilings  ${(ceilings.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s, ${
        (ceilings.bytesPerSecond / 1e9).toFixed(0)
      } GB/s; a launch ${ceilings.launchMicroseconds.toFixed(1)} µs (${
        ceilings.recordMicroseconds.toFixed(1)
      } of them the host's), a wait ${ceilings.waitMicroseconds.toFixed(0)} µs`,
    ],
    ...tests === null ? [] : formatTests(tests),
    ...Object.entries(stages).flatMap(([name, stage]) => formatStage(name, stage)),
    `${report.seconds.toFixed(0)} s in all`,
    ...failures.length === 0 ? ["No test failed, no result was wrong."] : [
      `${failures.length} FAILURES`,
      ...failures.slice(0, failuresShown).map(({ where, line }) => `✗ ${where}: ${line}`),
      ...failures.length > failuresShown ? ["… the others are in the JSON"] : [],
    ],
  ];
  return lines.join("\n");
}

function formatTests({ files, seconds, concurrency }: NonNullable<GpuReport["tests"]>): string[] {
  const count = (outcome: TestFile["outcome"]) => files.filter((each) => each.outcome === outcome).length;
  const sum = (f: (file: TestFile) => number) => files.reduce((total, each) => total + f(each), 0);
  const reasons = new Map<string, number>();
  for (const { reason } of files.flatMap(({ skipped }) => skipped)) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const outcomes = (["passed", "failed", "died", "hung", "stopped", "not run"] as const)
    .filter((outcome) => outcome === "passed" || count(outcome) > 0)
    .map((outcome) => `${count(outcome)} ${outcome}`);
  const slowest = [...files].sort((a, b) => b.seconds - a.seconds).slice(0, slowestShown);
  return [
    `tests     ${outcomes.join(", ")} of ${files.length} files in ${
      seconds.toFixed(0)
    } s, ${concurrency} at a time; ${sum((each) => each.passed)} tests passed`,
    `          slowest: ${slowest.map(({ file, seconds }) => `${file} ${seconds.toFixed(1)} s`).join(", ")}`,
    ...[...reasons].map(([reason, times]) => `          ${times} skipped: ${reason.slice(0, 160)}`),
  ];
}

function formatStage(name: string, { status, seconds, rows, error }: StageReport): string[] {
  const title = `${name}: ${status === "done" ? "" : `${status}, `}${seconds.toFixed(0)} s`;
  if (rows.length === 0) return [error === undefined ? title : `${title}: ${firstLine(error)}`];
  // Of many contenders, as the tiles are, the note says which is best.
  const mostShown = 4;
  const isShown = ({ milliseconds }: GpuRow) => Object.keys(milliseconds).length <= mostShown;
  const columns = Math.max(
    ...rows.filter(isShown).map(({ milliseconds }) => Object.keys(milliseconds).length),
    1,
  );
  const cells = rows.map((row) => {
    const [[own, time] = ["", NaN], ...others] = Object.entries(row.milliseconds);
    return [
      row.name,
      ...Array.from({ length: columns }, (_, i) => {
        if (!isShown(row)) return "";
        if (i === 0) return `${formatTime(time)} ms`;
        const other = others[i - 1];
        return other === undefined ? "–" : `${other[0]} ${(other[1] / time).toFixed(2)}×`;
      }),
      row.shares === undefined ? "" : Object.entries(row.shares)
        .map(([contender, share]) =>
          `${contender === own ? "" : `${contender} `}${(100 * share).toFixed(0)} %`
        )
        .join(", "),
      (row.checks ?? []).length === 0 ? "unchecked" : wrongChecks(row).length === 0 ? "right" : "WRONG",
      (row.notes ?? []).join("; "),
    ];
  });
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  return [
    title,
    ...cells.map((line) =>
      `  ${line.map((cell, i) => i === line.length - 1 ? cell : cell.padEnd(widths[i]!)).join("  ")}`
        .trimEnd()
    ),
    ...error === undefined ? [] : [`  ${firstLine(error)}`],
  ];
}

function formatTime(milliseconds: number): string {
  return milliseconds.toPrecision(milliseconds < 1000 ? 3 : 4);
}
