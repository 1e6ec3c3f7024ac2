import { join } from "node:path";
import { WriteError, writeFileAtomic } from "../../data/mod.ts";
import { DeviceLostError } from "../../engine/mod.ts";
import { type MethodConfig, methodLabel } from "../config/config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { type Experiment, openExperiment } from "./experiment.ts";
import type { Preparation } from "./prepare.ts";
import { type Replicate, replicateName, replicatesOf } from "./replicate.ts";
import { makeNew } from "./run_folder.ts";
import { type MethodEvent, runMethod } from "./run_method.ts";
import { compareRuns, type ScoreStatistics } from "./compare_runs.ts";
import { type Baseline, majorityBaseline, type MethodSummary, summarize } from "./summary.ts";

/** One run of a method among all. */
export interface RunPlace {
  readonly method: MethodConfig;
  /** From 1. */
  readonly number: number;
  readonly total: number;
}

/** Options of {@linkcode runExperiment}. */
export interface RunExperimentOptions extends LoadOptions {
  /** The folder of the run, which exists. */
  readonly folder: string;
  /** Called before each run; what it returns is called with the run's events. */
  readonly onStart?: ((experiment: Experiment, place: RunPlace) => (event: MethodEvent) => void) | undefined;
  /** Called after each run that was started, with the error that ended it, if one did. */
  readonly onEnd?: ((summary: MethodSummary, error: unknown) => void) | undefined;
}

/** The results of all runs of a configuration. */
export interface RunResults {
  readonly baseline: Baseline | null;
  /** Replicate by replicate, with the methods in their order. */
  readonly runs: readonly MethodSummary[];
  /** Statistics over the replicates, by score; null for a single replicate. */
  readonly statistics: Readonly<Record<string, ScoreStatistics>> | null;
  /** Why `summary.json` isn't complete, if it couldn't be written. */
  readonly unwritten?: WriteError;
}

/**
 * Runs every method of a configuration in every replicate. Each run gets its own folder, `<method>` or, with several
 * replicates, `<method>/draw-1-seed-1`; `summary.json` is rewritten after each run. A run that fails doesn't stop the
 * others, unless nothing can be written any more or the device is lost: then the rest are recorded as not run.
 *
 * @throws {WriteError} when a run's folder can't be made.
 * @throws the reason of the signal, once it is aborted.
 *
 * @example
 * ```ts no-run
 * const config = await readConfig("mail.json");
 * using gpu = await openGpu();
 * const preparation = await prepare(config, gpu, { reporter });
 * const folder = await createRunFolder(config);
 * const { statistics } = await runExperiment(preparation, { reporter, folder });
 * console.log(statistics?.accuracy?.methods.map(({ label, after }) => `${label} ${after?.mean} ± ${after?.sd}`));
 * ```
 */
export async function runExperiment(
  preparation: Preparation,
  options: RunExperimentOptions,
): Promise<RunResults> {
  const { folder, signal, onStart, onEnd } = options;
  const { config } = preparation;
  const { methods } = config;
  const replicates = replicatesOf(config);
  const several = replicates.length > 1;
  if (several) { for (const method of methods) await makeNew(join(folder, methodLabel(method))); }
  const baseline = baselineOf(preparation);
  const runs: MethodSummary[] = [];
  /** The error that would end every later run too. */
  let end: unknown;
  let unwritten: WriteError | undefined;
  const results = (): RunResults => ({ baseline, runs, statistics: several ? compareRuns(runs) : null });
  const record = async (summary: MethodSummary) => {
    runs.push(summary);
    try {
      await writeSummary(folder, preparation, results());
    } catch (error) {
      if (!(error instanceof WriteError)) throw error;
      end ??= error;
      unwritten = error;
    }
    signal?.throwIfAborted();
  };
  for (const replicate of replicates) {
    using experiment = end === undefined ? openExperiment(preparation, replicate) : undefined;
    for (const method of methods) {
      if (experiment === undefined || end !== undefined) {
        await record(notRun(method, replicate, end));
        continue;
      }
      const own = join(folder, methodLabel(method), several ? replicateName(replicate) : "");
      const place = { method, number: runs.length + 1, total: replicates.length * methods.length };
      const onEvent = onStart?.(experiment, place);
      const { summary, error } = await runMethod(experiment, method, { ...options, folder: own, onEvent });
      onEnd?.(summary, error);
      if (signal?.aborted || stopsAll(error)) end = error;
      await record(summary);
    }
  }
  return { ...results(), ...(unwritten && { unwritten }) };
}

/** Writes `summary.json`; its `methods` has an entry for each run. */
async function writeSummary(
  folder: string,
  { config, gpu }: Preparation,
  { baseline, runs, statistics }: RunResults,
): Promise<void> {
  const content = { config, adapter: gpu.adapter, baseline, methods: runs, statistics };
  await writeFileAtomic(join(folder, "summary.json"), `${JSON.stringify(content, null, 2)}\n`);
}

/** Whether an error would end every other run too. */
function stopsAll(error: unknown): boolean {
  return error instanceof DeviceLostError || error instanceof WriteError;
}

function notRun(method: MethodConfig, replicate: Replicate, end: unknown): MethodSummary {
  const error = end instanceof DeviceLostError ? "the GPU device was lost" : "nothing can be written";
  return summarize(method, { ...replicate, target: undefined }, {
    started: undefined,
    reports: [],
    status: "not run",
    error,
  });
}

/** The baseline of all draws; none where the classes mean something else in each. */
function baselineOf({ task, draws }: Preparation): Baseline | null {
  const [first, ...others] = draws.values();
  if (first!.labelPermutations !== undefined && others.length > 0) return null;
  return majorityBaseline(task, first!);
}
