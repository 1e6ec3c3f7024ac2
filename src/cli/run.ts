import { rm } from "node:fs/promises";
import { join } from "node:path";
import { cut } from "../data/text/excerpt.ts";
import { WriteError, writeFileAtomic } from "../data/mod.ts";
import { DeviceLostError, FederaError } from "../engine/mod.ts";
import type { Config, MethodConfig } from "../experiment/config/config.ts";
import { type Experiment, prepareExperiment } from "../experiment/run/experiment.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { describeClients } from "./describe_clients.ts";
import { printMethod } from "./method_printer.ts";
import { describeFailure } from "../experiment/run/failure.ts";
import { openTunedGpu } from "../experiment/gpu/open_tuned_gpu.ts";
import { resultsTable } from "./results_table.ts";
import { scoreTitle } from "../experiment/text/score_title.ts";
import { createRunFolder, writeConfig } from "../experiment/run/run_folder.ts";
import { runMethod } from "../experiment/run/run_method.ts";
import type { Task } from "../tasks/mod.ts";
import { majorityBaseline, type MethodSummary, summarize } from "../experiment/run/summary.ts";

/**
 * Runs every method of a configuration and prints their scores and costs. The folder of the run gets `config.json`, `summary.json` (anew
 * after each method) and a folder for each method.
 *
 * @returns the folder of the run.
 * @throws {NoAdapterError} when there is no GPU, before anything is written.
 * @throws {RunFolderError} when nothing can be written, before anything is loaded.
 * @throws {RunFailedError} at the end, when a method failed; the others were run nevertheless.
 * @throws the reason of the signal, once it is aborted.
 */
export async function run(given: Config, options: LoadOptions): Promise<string> {
  const { reporter, signal } = options;
  using gpu = await openTunedGpu(reporter);
  const folder = await createRunFolder(given);
  const experiment = await prepareOrRemove(folder, () => prepareExperiment(given, gpu, options));
  const { config, pretrained: { task }, train, test, clients } = experiment;
  await writeConfig(folder, config);
  reporter.line(
    `Data: ${train.numExamples} texts to train on, ${test.numExamples} to ${config.evaluateOn} on; ${
      describeOutputs(task)
    }`,
  );
  reporter.line(describeClients(experiment));
  reporter.line(
    `Each round: ${config.clientsPerRound ?? clients.length} clients, ${
      describeWork(config)
    } in batches of ${config.batchSize}`,
  );
  const baseline = majorityBaseline(task, { train, test });
  const summaries: MethodSummary[] = [];
  const failures: string[] = [];
  /** The error that would end every later method too. */
  let end: unknown;
  let unwritten: string | undefined;
  for (const method of config.methods) {
    if (end === undefined) {
      const { summary, error } = await runMethod(experiment, method, {
        ...options,
        folder,
        onEvent: printMethod(experiment, method, reporter),
      });
      summaries.push(summary);
      if (summary.status === "failed") {
        failures.push(`${summary.label}: ${describeFailure(error)}`);
        reporter.line(`  ${summary.label} failed: ${describeFailure(error)}`);
      }
      if (signal?.aborted || stopsAll(error)) end = error;
    } else summaries.push(notRun(method, end));
    const content = { config, adapter: gpu.adapter, baseline, methods: summaries };
    const path = join(folder, "summary.json");
    try {
      await writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
    } catch (error) {
      if (!(error instanceof WriteError)) throw error;
      // The table is still printed.
      end ??= error;
      unwritten = error.message;
    }
    if (signal?.aborted) {
      reporter.line(`The history so far is in ${folder}`);
      throw signal.reason;
    }
  }
  reporter.line(`\n${resultsTable(baseline, summaries)}`);
  reporter.line(`\n${describeTarget(experiment)}History, adapters and summary are in ${folder}`);
  const problems = [
    ...failures.length === 0 ? [] : [
      `${failures.length} of ${config.methods.length} methods failed:`,
      ...failures.map((each) => `  ${each}`),
    ],
    ...unwritten === undefined ? [] : [unwritten],
  ];
  if (problems.length > 0) throw new RunFailedError(problems.join("\n"));
  return folder;
}

/** A run ended, but some of its methods failed or its summary wasn't written; the message says which and why. */
export class RunFailedError extends FederaError {
  override name = "RunFailedError";
}

/** Whether an error would end every other method too. */
function stopsAll(error: unknown): boolean {
  return error instanceof DeviceLostError || error instanceof WriteError;
}

function notRun(method: MethodConfig, end: unknown): MethodSummary {
  const reason = end instanceof DeviceLostError ? "the GPU device was lost" : "nothing can be written";
  return summarize(method, undefined, { started: undefined, reports: [], status: "not run", error: reason });
}

/** A run that never began leaves no folder. */
async function prepareOrRemove(folder: string, prepare: () => Promise<Experiment>): Promise<Experiment> {
  try {
    return await prepare();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** What the model tells: a few names whole, many by their number. */
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

function describeTarget({ target }: Experiment): string {
  return target ? `Target: ${scoreTitle(target.metric)} ${target.value}\n` : "";
}
