#!/usr/bin/env node
import process from "node:process";
import { Command } from "commander";
import { methods } from "../fl/mod.ts";
import type { Config } from "./config.ts";
import { demoConfig, demoIntroduction } from "./demo.ts";
import { describeFailure } from "./failure.ts";
import { InterruptedError, interruptSignal } from "./interrupt.ts";
import { parseConfig, readConfig } from "./parse_config.ts";
import { createReporter, type Reporter } from "./reporter.ts";
import { run } from "./run.ts";
import { formatTable } from "./table.ts";
import { versions } from "./version.ts";

const program = new Command("federa")
  .description("Federated low-rank fine-tuning of pretrained encoders on WebGPU, on simulated clients.")
  .version(versions().federa)
  .showHelpAfterError("(federa --help lists what there is)");

program.command("demo")
  .description(
    "LoRA and FeDeRA learn to tell spam from mail, on clients of very different kinds; takes a few minutes",
  )
  .option("-o, --output <FOLDER>", "where the run's folder goes", "runs")
  .addHelpText(
    "after",
    "\nDownloads 26 MB of weights and 20 MB of mail into the user cache, the first time only.",
  )
  .action(({ output }: { output: string }) =>
    start((reporter) => {
      reporter.line(demoIntroduction);
      return { ...parseConfig(demoConfig()), output };
    })
  );

program.command("run")
  .description("runs the methods of a configuration file and prints one table")
  .argument("<CONFIG.json>", "what to run; a misspelt key is an error that names the nearest known one")
  .option("-o, --output <FOLDER>", "where the run's folder goes, instead of the configuration's")
  .addHelpText("after", "\nCtrl-C ends a run early; its history stays readable.")
  .action((path: string, { output }: { output?: string }) =>
    start(async () => ({ ...await readConfig(path), ...(output !== undefined && { output }) }))
  );

program.command("methods")
  .description("lists the federated methods")
  .action(() =>
    console.log(formatTable([...methods.values()], [
      { title: "method", cell: ({ name }) => name },
      { title: "what it does", cell: ({ summary }) => summary },
    ]))
  );

await program.parseAsync();

/** Runs a configuration, and ends the process: background work on a closed device would only hold it up. */
async function start(configure: (reporter: Reporter) => Config | Promise<Config>): Promise<void> {
  const reporter = createReporter(process.stdout);
  const signal = interruptSignal(() => reporter.line("Stopping; Ctrl-C again ends at once"));
  try {
    await run(await configure(reporter), { reporter, signal });
  } catch (error) {
    reporter.endProgress();
    if (error instanceof InterruptedError) process.exit(130);
    console.error(describeFailure(error));
    process.exit(1);
  }
}
