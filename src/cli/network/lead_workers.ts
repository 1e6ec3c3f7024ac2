import type { Command } from "commander";
import type { Gpu } from "../../engine/mod.ts";
import type { Config } from "../../experiment/config/config.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import type { RunExperimentOptions } from "../../experiment/run/run_experiment.ts";
import { Coordinator, type CoordinatorOptions } from "../../network/nats/workers/coordinator/coordinator.ts";
import { kindOf } from "../../network/nats/workers/bits_node.ts";
import { checkWorkers, trainersOn } from "../../network/nats/workers/coordinator/trainers_node.ts";
import { parseCount } from "../terminal/start.ts";
import { type NatsFlags, natsHelp, natsOptionsOf, withNatsOptions } from "./nats_options.ts";

/** Where the workers of a run are, and how it deals with them. */
export interface WorkersChoice extends Omit<CoordinatorOptions, "kind" | "report"> {
  readonly url: string;
}

/** Options of the command line for runs on workers. */
export interface WorkersFlags extends NatsFlags {
  readonly workers?: string;
  readonly queue: string;
  readonly ackWait: number;
  readonly attempts: number;
  readonly waitForWorkers: number;
  readonly store: number;
}

/** Adds the options of a run on workers. */
export function withWorkersOptions(command: Command): Command {
  command
    .option(
      "-w, --workers <URL>",
      "has clients train on workers (federa worker) that take blocks from this NATS server",
    )
    .option("-q, --queue <NAME>", "the queue that workers take blocks from, one for each run", "default")
    .option(
      "--ack-wait <SECONDS>",
      "after how long without a word a worker's block is given to another",
      parseCount,
      30,
    )
    .option("--attempts <N>", "how often a block is tried before its clients are lost", parseCount, 5)
    .option("--wait-for-workers <SECONDS>", "how long to wait while no worker is there", parseCount, 600)
    .option("--store <MB>", "the most that model, data and results may take on the server", parseCount, 4096);
  return withNatsOptions(command).addHelpText("after", `\n${natsHelp}`);
}

/** What the command line says of workers; undefined where it has none. */
export async function workersOf(flags: WorkersFlags): Promise<WorkersChoice | undefined> {
  const { workers: url, queue, ackWait, attempts, waitForWorkers, store } = flags;
  if (url === undefined) return undefined;
  return {
    ...await natsOptionsOf(flags),
    url,
    queue,
    ackWaitSeconds: ackWait,
    attempts,
    waitSeconds: waitForWorkers,
    maxBytes: store * 2 ** 20,
  };
}

/** The lead of a queue, for as long as a run takes. */
export interface Lead extends AsyncDisposable {
  readonly trainers: RunExperimentOptions["trainers"];
}

/**
 * Takes the lead of a queue where a run has workers; else has it train in this process.
 *
 * @throws {ConfigError} when the configuration can't run on workers.
 * @throws as {@linkcode Coordinator.open}.
 */
export async function leadWorkers(
  gpu: Gpu,
  config: Config,
  { workers, reporter }: Pick<LoadOptions, "reporter"> & { readonly workers?: WorkersChoice | undefined },
): Promise<Lead> {
  if (workers === undefined) return { trainers: undefined, async [Symbol.asyncDispose]() {} };
  checkWorkers(config);
  const { url, ...options } = workers;
  const coordinator = await Coordinator.open(url, {
    ...options,
    kind: kindOf(gpu),
    report: (line) => reporter.line(line),
  });
  return { trainers: trainersOn(coordinator), [Symbol.asyncDispose]: () => coordinator.close() };
}
