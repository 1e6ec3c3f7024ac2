import { type ComparisonSources, readComparison } from "../experiment/compare/comparison_config.ts";
import { scoresChart } from "../experiment/compare/scores_chart.ts";
import { writeFileAtomic } from "../data/mod.ts";
import { RecordStore } from "../experiment/compare/record_store.ts";
import { runComparison, type Shard, type UnitFailure } from "../experiment/compare/run_comparison.ts";
import { summarizeComparison } from "../experiment/compare/summarize_comparison.ts";
import { lastEvaluation, type UnitRecord } from "../experiment/compare/unit_record.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { openTunedGpu } from "../experiment/gpu/open_tuned_gpu.ts";
import { scoreTitle } from "../experiment/text/score_title.ts";
import { RunFailedError } from "./run.ts";
import { comparisonTables } from "./tables/comparison_tables.ts";
import { print, printJson } from "./terminal/print.ts";

/** Options of {@linkcode compare}. */
export interface CompareOptions extends LoadOptions, ComparisonSources {
  /** The folder of the records. */
  readonly output: string;
  readonly shard?: Shard | undefined;
  /** Runs nothing, and prints what the records say. */
  readonly tables?: boolean | undefined;
  readonly json?: boolean | undefined;
  /** A file for a drawing of the scores. */
  readonly chart?: string | undefined;
}

/**
 * Runs what a comparison has no records of yet, and prints the tables of what it has.
 *
 * @throws {RunFailedError} at the end, when units failed; the others were run nevertheless.
 * @throws as {@linkcode runComparison}.
 */
export async function compare(path: string, options: CompareOptions): Promise<void> {
  const { reporter, output, shard, tables, json, chart } = options;
  const comparison = await readComparison(path, options);
  const store = await RecordStore.open(output, { shard: shard?.number });
  const show = async () => {
    const summary = summarizeComparison(comparison, store);
    if (chart !== undefined) await writeFileAtomic(chart, scoresChart(summary));
    if (json) printJson(summary, 2);
    else print(comparisonTables(summary));
  };
  if (tables) return await show();
  using gpu = await openGpuOf(options);
  const failures = await runComparison(comparison, gpu.gpu, {
    ...options,
    store,
    onRecord: (record) => reporter.line(describeRecord(record)),
  });
  if (shard === undefined) await show();
  if (failures.length > 0) throw new RunFailedError(describeFailures(failures));
}

async function openGpuOf({ reporter }: LoadOptions) {
  const gpu = await openTunedGpu(reporter);
  return { gpu, [Symbol.dispose]: () => gpu.close() };
}

function describeFailures(failures: readonly UnitFailure[]): string {
  const lines = failures.map(({ unit: { contender, setting }, message }) =>
    `  ${contender.label}, ${setting.label}: ${message}`
  );
  return [`${failures.length} units failed; they are tried again next time:`, ...new Set(lines)].join("\n");
}

/** A line on what a unit came to. */
function describeRecord(record: UnitRecord): string {
  const { phase, label, setting, draw, seed, learningRate, metric, diverged, seconds } = record;
  const score = lastEvaluation(record)?.scores[metric];
  const result = diverged ?? `${scoreTitle(metric)} ${score?.toFixed(3) ?? "–"}`;
  const place = phase === "tuning" ? `rate ${learningRate}` : `draw ${draw}, seed ${seed}`;
  return `${label}, ${setting}, ${place}: ${result}, ${seconds.toFixed(1)} s`;
}
