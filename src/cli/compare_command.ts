import process from "node:process";
import type { Command } from "commander";
import { compare, type CompareOptions } from "./compare.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { parsePath, parseShard, start } from "./terminal/start.ts";

/** Adds `federa compare` to the program. */
export function addCompareCommand(program: Command): void {
  program.command("compare")
    .description("compares methods over settings, draws and seeds, each at the learning rate that suits it")
    .argument("<CONFIG.json>", "a run's configuration, and settings, learningRates and tuning")
    .requiredOption(
      "-o, --output <FOLDER>",
      "the folder of the records; what it has isn't run again",
      parsePath,
    )
    .option("--tables", "runs nothing, and prints the tables of what the folder has")
    .option("--chart <FILE.svg>", "where to draw the scores of all runs", parsePath)
    .option("--json", "prints JSON instead of tables")
    .option("--shard <I/N>", "runs every N-th method from the I-th on, one process of several", parseShard)
    .option("--model <SOURCE>", "the model, instead of the configuration's", parsePath)
    .option("--train <FILE>", "the examples, instead of the configuration's", parsePath)
    .option("--test <FILE>", "the test set, instead of the configuration's", parsePath)
    .addHelpText(
      "after",
      `
Rates are chosen on validation, by a draw and a seed that aren't compared. Ctrl-C, or a kill at any moment, loses the run
that it was at; the same command goes on. A changed configuration runs again what its change touches, and nothing else.

Examples:
  federa compare intents.json -o intents              runs what is missing, and prints the tables
  federa compare intents.json -o intents --tables     prints the tables of the runs so far, in Markdown
  federa compare intents.json -o intents --shard 1/2  one of two processes; start the other with 2/2`,
    )
    .action((path: string, options: Omit<CompareOptions, keyof LoadOptions>) =>
      start((base) => compare(path, { ...base, ...options }), process.stderr)
    );
}
