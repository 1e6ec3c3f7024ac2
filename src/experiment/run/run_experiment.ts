import { join } from "node:path";
import { makeFolder, WriteError, writeFileAtomic } from "../../data/mod.ts";
import { DeviceLostError, FederaError } from "../../engine/mod.ts";
import { identityOf } from "../checkpoint/identity.ts";
import type { Past } from "../checkpoint/past.ts";
import { readPasts, type RunSlot, runSlots } from "../checkpoint/run_slots.ts";
import { type MethodConfig, methodLabel } from "../config/config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { type Experiment, openExperiment } from "./experiment.ts";
import type { Preparation } from "./prepare.ts";
import { type Replicate, replicatesOf } from "./replicate.ts";
import type { MethodEvent } from "./record_run.ts";
import { runMethod, type RunMethodOptions } from "./run_method.ts";
import { stopReason } from "./stop_early.ts";
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
  /**
   * Goes on with what the folder holds: finished runs stay, interrupted ones go on from their last checkpoints, the others are run.
   * The results are those of a run that never stopped.
   */
  readonly resume?: boolean | undefined;
  /**
   * Prepares the same configuration on another device, after the last one was lost: then the run goes on from its last round, up to
   * `maxDeviceLosses` times. Without it, it ends.
   */
  readonly reopen?: (() => Promise<Preparation>) | undefined;
  /** Who trains in place of this process; see {@linkcode RunMethodOptions}. */
  readonly trainers?: RunMethodOptions["trainers"];
  /** Called for each run that was finished before, instead of `onStart` and `onEnd`. */
  readonly onKept?: ((summary: MethodSummary) => void) | undefined;
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
 * @throws {ResumeError} when it is to be resumed and what its results follow from has changed.
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
  const { folder, signal, resume = false, reopen, reporter, onStart, onKept, onEnd } = options;
  const { config } = preparation;
  const slots = runSlots(config, folder);
  const pasts = resume ? await readPasts(preparation, { folder, slots }) : new Map<RunSlot, Past>();
  const several = replicatesOf(config).length > 1;
  if (several) { for (const method of config.methods) await makeFolder(join(folder, methodLabel(method))); }
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
  using bench = new Bench(preparation);
  let losses = 0;
  for (const [i, slot] of slots.entries()) {
    const { method, replicate } = slot;
    const past = pasts.get(slot);
    if (past !== undefined && isFinished(past, preparation)) {
      const summary = summarize(method, { ...preparation, ...replicate }, past);
      onKept?.(summary);
      await record(summary);
    } else if (end !== undefined) await record(notRun(method, replicate, end));
    else {
      const onEvent = onStart?.(bench.open(replicate), { method, number: i + 1, total: slots.length });
      const play = async (more: Pick<RunMethodOptions, "resume" | "reason">) =>
        await runMethod(bench.open(replicate), method, {
          ...options,
          folder: slot.folder,
          identity: await identityOf(bench.preparation, method, replicate),
          onEvent,
          ...more,
        });
      let { summary, error } = await play({ resume });
      while (error instanceof DeviceLostError && reopen !== undefined && losses < config.maxDeviceLosses) {
        losses++;
        const times = `${losses} of at most ${config.maxDeviceLosses}`;
        reporter.line(
          `  ${slot.label} lost its device (${error.message}); it goes on with another one, ${times} times`,
        );
        try {
          await bench.move(reopen);
          ({ summary, error } = await play({ resume: true, reason: error.message }));
        } catch (failed) {
          if (!(failed instanceof FederaError)) throw failed;
          reporter.line(`  No other device can be used: ${failed.message}`);
          break;
        }
      }
      onEnd?.(summary, error);
      if (signal?.aborted || stopsAll(error)) end = error;
      await record(summary);
    }
  }
  return { ...results(), ...(unwritten && { unwritten }) };
}

/** The experiment of the replicate whose turn it is. */
class Bench {
  preparation: Preparation;
  #experiment: Experiment | undefined;

  constructor(preparation: Preparation) {
    this.preparation = preparation;
  }

  /** Takes another preparation of the same configuration, as on another device. */
  async move(reopen: () => Promise<Preparation>): Promise<void> {
    this[Symbol.dispose]();
    this.preparation = await reopen();
  }

  open(replicate: Replicate): Experiment {
    const { draw, seed } = this.#experiment ?? {};
    if (this.#experiment === undefined || draw !== replicate.draw || seed !== replicate.seed) {
      this.#experiment?.[Symbol.dispose]();
      this.#experiment = openExperiment(this.preparation, replicate);
    }
    return this.#experiment;
  }

  [Symbol.dispose](): void {
    this.#experiment?.[Symbol.dispose]();
    this.#experiment = undefined;
  }
}

/** Whether a method has nothing left to do. */
function isFinished({ end, reports }: Past, preparation: Preparation): boolean {
  const { rounds } = preparation.config;
  return end === "finished" && (reports.length >= rounds || stopReason(reports, preparation) !== undefined);
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
