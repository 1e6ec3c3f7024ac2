import process from "node:process";
import { type Command, Option } from "commander";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import { work } from "../../network/nats/workers/worker/worker_node.ts";
import { parseCount, parseNumber, parsePath, start } from "../terminal/start.ts";
import { type NatsFlags, natsHelp, natsOptionsOf, withNatsOptions } from "./nats_options.ts";

interface WorkerFlags extends NatsFlags {
  readonly nats: string;
  readonly queue: string;
  readonly name?: string;
  readonly once?: true;
  readonly wait: number;
  readonly stall: number;
  readonly maxGpuBytes?: number;
  readonly cache?: string;
}

/** Adds `federa worker`. */
export function addWorkerCommand(program: Command): void {
  const command = program.command("worker")
    .description(
      "trains blocks of clients of runs on other machines (federa run --workers), one run after another",
    )
    .addOption(
      new Option("--nats <URL>", "the NATS server that the run uses, nats:// or tls://")
        .env("NATS_URL").makeOptionMandatory(),
    )
    .option("-q, --queue <NAME>", "the queue of the run", "default")
    .option(
      "--name <NAME>",
      "what the run calls this worker; the machine's name with a random part by default",
    )
    .option("--once", "ends after the first run that it took part in")
    .option("--wait <SECONDS>", "how long to wait for a run", parseCount, 3600)
    .option("--stall <SECONDS>", "after how long without progress a block is given back", parseCount, 600)
    .option("--max-gpu-bytes <N>", "the most bytes of GPU buffers to hold", parseNumber)
    .option("--cache <FOLDER>", "where models are kept; the user's cache by default", parsePath);
  withNatsOptions(command)
    .addHelpText(
      "after",
      `
${natsHelp}

A worker sees all data of the blocks that it trains: use it on your own machines. The same version, adapter and driver as the run's
are needed, as results are then those of one process, bit for bit; other workers are refused. Ctrl-C gives back the block in hand.

Example:
  federa worker --nats nats://127.0.0.1:4222`,
    )
    .action((flags: WorkerFlags) =>
      start(async ({ reporter, signal }) => {
        const { nats, name, queue, once = false, wait, stall, maxGpuBytes, cache } = flags;
        const options = await natsOptionsOf(flags);
        using gpu = await openTunedGpu(reporter);
        let blocks = 0;
        await work(gpu, nats, {
          ...options,
          queue,
          worker: name,
          once,
          waitSeconds: wait,
          stallSeconds: stall,
          maxGpuBytes,
          cache,
          signal,
          report: (line) => reporter.line(line),
          onBlock: ({ round, clients, seconds }) => {
            blocks++;
            if (process.stdout.isTTY) {
              reporter.progress(`round ${round}: ${clients} clients in ${seconds.toFixed(1)} s`, blocks, 0, {
                unit: "blocks",
              });
            }
          },
        });
      })
    );
}
