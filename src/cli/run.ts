import { rm } from "node:fs/promises";
import { cut } from "../data/text/excerpt.ts";
import { FederaError, type Gpu } from "../engine/mod.ts";
import type { Config } from "../experiment/config/config.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { openTunedGpu } from "../experiment/gpu/open_tuned_gpu.ts";
import { describeFailure } from "../experiment/run/failure.ts";
import { type Preparation, prepare } from "../experiment/run/prepare.ts";
import { replicatesOf } from "../experiment/run/replicate.ts";
import { runExperiment, type RunExperimentOptions } from "../experiment/run/run_experiment.ts";
import {
  createRunFolder,
  readRunConfig,
  removeTemporaries,
  writeConfig,
} from "../experiment/run/run_folder.ts";
import type { MethodSummary } from "../experiment/run/summary.ts";
import { scoreTitle } from "../experiment/text/score_title.ts";
import type { Task } from "../tasks/mod.ts";
import { describeClients } from "./describe_clients.ts";
import { leadWorkers, type WorkersChoice } from "./network/lead_workers.ts";
import { describeRun, printMethod } from "./terminal/method_printer.ts";
import { replicatesTable } from "./tables/replicates_table.ts";
import { resultsTable } from "./tables/results_table.ts";

/** Options of {@linkcode run} and {@linkcode resume}. */
export interface RunOptions extends LoadOptions {
  /** Workers to train on, in place of this process. */
  readonly workers?: WorkersChoice | undefined;
}

/**
 * Runs every method of a configuration, in every replicate, and prints their scores and costs. The folder of the run gets
 * `config.json` and what {@linkcode runExperiment} writes.
 *
 * @returns the folder of the run.
 * @throws {NoAdapterError} when there is no GPU, before anything is written.
 * @throws {RunFolderError} when nothing can be written, before anything is loaded.
 * @throws {RunFailedError} at the end, when a method failed; the others were run nevertheless.
 * @throws the reason of the signal, once it is aborted.
 */
export async function run(given: Config, options: RunOptions): Promise<string> {
  using devices = new Devices(options);
  const gpu = await devices.open();
  await using lead = await leadWorkers(gpu, given, options);
  const { trainers } = lead;
  const folder = await createRunFolder(given);
  const preparation = await prepareOrRemove(folder, () => prepare(given, gpu, options));
  await runMethods(preparation, { ...options, folder, trainers, reopen: () => devices.reopen(given) });
  return folder;
}

/**
 * Goes on with a run that was interrupted, from its folder, to the results of one that never stopped: methods that are finished
 * stay as they are, one that was interrupted goes on from its last checkpoint, the others are run.
 *
 * @throws {ConfigError} when the folder isn't that of a run.
 * @throws {ResumeError} when configuration, data or model have changed so that the results would be others.
 * @throws as {@linkcode run}.
 */
export async function resume(folder: string, options: RunOptions): Promise<void> {
  const config = await readRunConfig(folder);
  await removeTemporaries(folder);
  using devices = new Devices(options);
  const gpu = await devices.open();
  await using lead = await leadWorkers(gpu, config, options);
  const { trainers } = lead;
  const preparation = await prepare(config, gpu, options);
  const reopen = () => devices.reopen(config);
  await runMethods(preparation, { ...options, folder, trainers, resume: true, reopen });
}

/** The device of a run, or the one that has taken its place. */
class Devices {
  readonly #options: LoadOptions;
  #gpu: Gpu | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async open(): Promise<Gpu> {
    this.#gpu?.close();
    return this.#gpu = await openTunedGpu(this.#options.reporter);
  }

  async reopen(config: Config): Promise<Preparation> {
    return await prepare(config, await this.open(), this.#options);
  }

  [Symbol.dispose](): void {
    this.#gpu?.close();
  }
}

/** Runs the methods and prints what they do and come to. */
async function runMethods(
  preparation: Preparation,
  options: RunExperimentOptions,
): Promise<void> {
  const { reporter, signal, folder } = options;
  const { config } = preparation;
  const isReplicated = replicatesOf(config).length > 1;
  const nameOf = (summary: MethodSummary) => isReplicated ? describeRun(summary) : summary.label;
  const failures: string[] = [];
  await writeConfig(folder, config);
  for (const line of describePreparation(preparation)) reporter.line(line);
  const results = await runExperiment(preparation, {
    ...options,
    onStart: (experiment, place) => printMethod(experiment, place, reporter),
    onKept: (summary) =>
      reporter.line(`\n${nameOf(summary)}: finished before, after round ${summary.rounds}; kept`),
    onEnd(summary, error) {
      if (summary.status !== "failed") return;
      failures.push(`${nameOf(summary)}: ${describeFailure(error)}`);
      reporter.line(`  ${nameOf(summary)} failed: ${describeFailure(error)}`);
    },
  }).catch((error) => {
    if (signal?.aborted) {
      reporter.line(`The history so far is in ${folder}; to go on: federa resume ${folder}`);
    }
    throw error;
  });
  const { runs, unwritten } = results;
  reporter.line(`\n${isReplicated ? replicatesTable(results) : resultsTable(results)}`);
  reporter.line(`\n${describeTarget(preparation)}History, adapters and summary are in ${folder}`);
  const problems = [
    ...failures.length === 0 ? [] : [
      `${failures.length} of ${runs.length} ${isReplicated ? "runs" : "methods"} failed:`,
      ...failures.map((each) => `  ${each}`),
    ],
    ...unwritten === undefined ? [] : [unwritten.message],
  ];
  if (problems.length > 0) throw new RunFailedError(problems.join("\n"));
}

/** Lines on what is to be run. */
function describePreparation(preparation: Preparation): string[] {
  const { config, task, train, test, draws } = preparation;
  const sampled = config.clientsPerRound ??
    Math.max(...[...draws.values()].map(({ clients }) => clients.length));
  return [
    `Data: ${train.numExamples} texts to train on, ${test.numExamples} to ${config.evaluateOn} on; ${
      describeOutputs(task)
    }`,
    ...describeClients(preparation),
    `Each round: ${sampled} clients, ${describeWork(config)} in batches of ${config.batchSize}`,
  ];
}

/** A run ended, but some of its methods failed or its summary wasn't written; the message says which and why. */
export class RunFailedError extends FederaError {
  override name = "RunFailedError";
}

/** A run that never began leaves no folder. */
async function prepareOrRemove(folder: string, prepare: () => Promise<Preparation>): Promise<Preparation> {
  try {
    return await prepare();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** What the model predicts: a few labels by name, many by their number. */
function describeOutputs({ kind, labels }: Task): string {
  const names = labels.length <= 12 ? ` of ${labels.map(cut).join(", ")}` : ` of ${labels.length} labels`;
  return `${kind.replaceAll("-", " ")}${names}`;
}

function describeWork({ local }: Config): string {
  const [count, unit] = local.steps === undefined
    ? [local.epochs!, "local epoch"]
    : [local.steps, "local step"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function describeTarget({ target }: Preparation): string {
  return target ? `Target: ${scoreTitle(target.metric)} ${target.value}\n` : "";
}
