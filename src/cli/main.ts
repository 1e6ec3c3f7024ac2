#!/usr/bin/env node
import process from "node:process";
import { Argument, Command, Option } from "commander";
import { printableLines } from "../data/text/printable.ts";
import { partitioners } from "../data/mod.ts";
import { algorithms, methods } from "../fl/mod.ts";
import { addCompareCommand } from "./compare_command.ts";
import { demoConfig, demoIntroduction } from "./demo/demo.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { parseConfig, readConfig } from "../experiment/config/parse_config.ts";
import { partition, type PartitionCommandOptions } from "./partition.ts";
import { addFlowerNodeCommand } from "./network/flower_node_command.ts";
import { addHostCommand } from "./network/host_command.ts";
import { addJoinCommand } from "./network/join_command.ts";
import { profile } from "./profile.ts";
import { profileTable } from "./tables/profile_table.ts";
import { watchOutput } from "./terminal/output.ts";
import { print, printJson } from "./terminal/print.ts";
import { resume, run } from "./run.ts";
import { parseCount, parsePath, parseSeed, start } from "./terminal/start.ts";
import { methodText } from "./method_text.ts";
import { formatTable } from "./tables/table.ts";
import { withWorkersOptions, type WorkersFlags, workersOf } from "./network/lead_workers.ts";
import { addWorkerCommand } from "./network/worker_command.ts";
import { addTrainedCommands } from "./trained/trained_commands.ts";
import { tune } from "./tune.ts";
import { versions } from "../experiment/run/versions.ts";

const exitCodes = `Exit codes:
  0    done
  1    failed, called wrongly, or a method of a run failed; the others were run
  129  ended by SIGHUP (its terminal was closed)
  130  ended by Ctrl-C (SIGINT)
  141  the output was closed (SIGPIPE)
  143  ended by SIGTERM`;

/** A line for each kind of partition. */
function partitionKinds(): string {
  return formatTable(partitioners, [
    { title: "kind", cell: ({ kind }) => kind },
    { title: "what it does", cell: ({ summary }) => summary, wrap: true },
  ], { width: 78 }).replaceAll(/^/gm, "  ");
}

const program = new Command("federa")
  .description("Federated low-rank fine-tuning of pretrained encoders on WebGPU, on simulated clients.")
  .version(versions().federa)
  .showHelpAfterError("(federa --help lists the commands)")
  .configureOutput({ writeErr: (text) => process.stderr.write(printableLines(text)) })
  .addHelpText("after", `\n${exitCodes}`);

program.command("demo")
  .description(
    "LoRA and FeDeRA learn to tell spam from mail, on clients of very different kinds; takes a few minutes",
  )
  .option("-o, --output <FOLDER>", "where the run's folder goes", parsePath, "runs")
  .addHelpText(
    "after",
    "\nDownloads 26 MB of weights and 20 MB of mail into the user cache, the first time only.",
  )
  .action(({ output }: { output: string }) =>
    start(async (options) => {
      options.reporter.line(demoIntroduction);
      await run({ ...parseConfig(demoConfig()), output }, options);
    })
  );

withWorkersOptions(
  program.command("run")
    .description("runs the methods of a configuration file and prints their scores and costs")
    .argument("<CONFIG.json>", "what to run; a misspelt key is an error that names the nearest known one")
    .option(
      "-o, --output <FOLDER>",
      "where the run's folder goes, instead of the configuration's",
      parsePath,
    ),
)
  .addHelpText(
    "after",
    "\nCtrl-C or SIGTERM ends a run early, with the model of its last whole round; federa resume goes on with it. A second " +
      "Ctrl-C ends it at once.",
  )
  .action((path: string, { output, ...flags }: { output?: string } & WorkersFlags) =>
    start(async (options) => {
      const config = { ...await readConfig(path), ...(output !== undefined && { output }) };
      await run(config, { ...options, workers: await workersOf(flags) });
    })
  );

withWorkersOptions(
  program.command("resume")
    .description("goes on with a run that was interrupted, to the same results as if it had never stopped")
    .argument("<RUN>", "the folder of a run, such as runs/mail-001", parsePath),
)
  .addHelpText(
    "after",
    `
Methods that are finished are kept, one that was interrupted goes on from its last checkpoint, the others are run. In the
folder's config.json, rounds may be raised, and blockSize, maxGpuBytes and checkpointing may be changed.`,
  )
  .action((folder: string, flags: WorkersFlags) =>
    start(async (options) => await resume(folder, { ...options, workers: await workersOf(flags) }))
  );

addCompareCommand(program);

program.command("profile")
  .description("measures a training step of a configuration's first method, kernel by kernel")
  .argument("<CONFIG.json>", "as for run; nothing is written")
  .option("-s, --steps <N>", "steps to measure", parseCount, 5)
  .option("--json", "prints JSON instead of a table")
  .action((path: string, { steps, json }: { steps: number; json?: true }) =>
    start(async (options) => {
      const result = await profile(await readConfig(path), { ...options, steps });
      if (json) printJson(result, 2);
      else print(`\n${profileTable(result)}`);
    }, json ? process.stderr : process.stdout)
  );

program.command("tune")
  .description(
    "measures which tiles make a configuration's matrix products fastest here, and keeps them for later runs",
  )
  .argument("<CONFIG.json>", "as for run; results don't change by it")
  .option("-s, --seconds <N>", "time to measure for", parseCount, 60)
  .action((path: string, { seconds }: { seconds: number }) =>
    start(async (options) => await tune(await readConfig(path), { ...options, seconds }))
  );

program.command("partition")
  .description("prints and draws which examples each client of a configuration holds")
  .argument("<CONFIG.json>", "as for run; the model is loaded only where the partition looks at it")
  .option("-o, --output <FILE.svg>", "where to draw it", parsePath)
  .addOption(
    new Option("--chart <KIND>", "how to draw it; by default as suits the number of classes")
      .choices(["bars", "bubbles"]),
  )
  .option("--draw <SEED>", "the seed of the draw, instead of the configuration's first", parseSeed)
  .option("--json", "prints JSON instead of a table: every client with the indices of its training examples")
  .addHelpText("after", `\nKinds of partitions:\n${partitionKinds()}`)
  .action((path: string, options: Omit<PartitionCommandOptions, keyof LoadOptions>) =>
    start(
      async (base) => await partition(await readConfig(path), { ...base, ...options }),
      options.json ? process.stderr : process.stdout,
    )
  );

program.command("methods")
  .description(
    "lists the federated methods, or tells of one: its rule, what is sent, its options, what it isn't sound with",
  )
  .addArgument(new Argument("[NAME]", "a method").choices([...methods.keys()]))
  .addHelpText("after", "\nExamples:\n  federa methods\n  federa methods federa-exact")
  .action((name?: string) =>
    print(
      name !== undefined
        ? methodText(name)
        : formatTable([...methods.values()].map(({ definition }) => definition), [
          { title: "method", cell: ({ name }) => name },
          { title: "clients train", cell: ({ trains }) => trains, wrap: true },
          { title: "the server", cell: ({ server }) => server, wrap: true },
          { title: "arXiv", cell: ({ papers = [] }) => papers.join(", "), wrap: true },
        ]) + "\n\n" + formatTable([...algorithms.values()].map(({ definition }) => definition), [
          { title: "algorithm", cell: ({ name }) => name },
          { title: "over any method", cell: ({ summary }) => summary, wrap: true },
          { title: "arXiv", cell: ({ papers }) => papers.join(", ") },
        ]),
    )
  );

addWorkerCommand(program);
addTrainedCommands(program);
addFlowerNodeCommand(program);
addHostCommand(program);
addJoinCommand(program);

watchOutput();
await program.parseAsync();
