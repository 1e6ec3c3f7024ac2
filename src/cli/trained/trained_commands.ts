import process from "node:process";
import { buffer as readAll } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { openGpu } from "../../engine/mod.ts";
import { taskKinds } from "../../tasks/mod.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import { evaluate } from "./evaluate.ts";
import { exportAdapter } from "./export.ts";
import { checkInspected, inspectFile } from "../inspection/inspect.ts";
import { mergeModel } from "./merge.ts";
import type { TrainedSettings } from "../../experiment/trained/trained_settings.ts";
import { predict } from "./predict.ts";
import { describePrediction } from "./describe_prediction.ts";
import { addReadingOptions, checkReadingFlags, type ReadingFlags } from "./reading.ts";
import { splitLines } from "./read_lines.ts";
import { print, printJson } from "../terminal/print.ts";
import { scoreTitle } from "../../experiment/text/score_title.ts";
import { parseCount, parseNames, parseNumber, parsePath, start } from "../terminal/start.ts";

/** Adds the commands that use what a run has trained. */
export function addTrainedCommands(program: Command): void {
  addReadingOptions(onTrained(program.command("predict")))
    .description(
      "predicts for texts with a trained model: classes, numbers, entities, or answers to a question",
    )
    .argument("[TEXTS...]", "the texts; by default each line of the standard input")
    .option("--pair <TEXT>", "the second text, for tasks on pairs")
    .option("--question <TEXT>", "what is asked of the texts, for question answering")
    .option(
      "--file <FILE>",
      "a file of texts, with or without labels; gives one prediction per row, in order",
      parsePath,
    )
    .addOption(noAnswerThreshold())
    .option("--json", "prints a line of JSON for each text")
    .action((texts: string[], { adapter, json, ...options }: PredictFlags) =>
      start(async (loading) => {
        checkReadingFlags(options, { texts: texts.length > 0 });
        const given = texts.length > 0 || options.file !== undefined
          ? texts
          : await readLines(options.encoding);
        for (const each of await predict(adapter, given, { ...loading, ...options })) {
          if (json) printJson(each);
          else print(describePrediction(each));
        }
      }, process.stderr)
    );

  addReadingOptions(onTrained(program.command("evaluate")))
    .description("scores a trained model on the examples of a file, which is read as the run read its files")
    .argument("<FILE>", "JSONL, JSON, CSV, TSV, Parquet or CoNLL")
    .addOption(
      new Option("--missing-labels <WHAT>", "what to do about examples without a label")
        .choices(["refuse", "drop"]),
    )
    .addOption(noAnswerThreshold())
    .option(
      "--tune-no-answer",
      "takes the threshold of no answer with the best F1 on the file, and keeps it in the model's folder",
    )
    .option("--json", "prints JSON")
    .action((data: string, { adapter, json, ...options }: EvaluateFlags) =>
      start(async (loading) => {
        const found = await evaluate(adapter, { ...loading, ...options, data });
        if (json) return printJson(found);
        const scores = Object.entries({ loss: found.loss, ...found.scores });
        const titles = scores.map(([name]) => scoreTitle(name));
        const width = Math.max(20, ...titles.map(({ length }) => length));
        const lines = scores.map(([, value], i) => `${titles[i]!.padEnd(width)} ${value.toFixed(4)}`);
        print([`${found.numExamples} examples`, ...lines].join("\n"));
      }, process.stderr)
    );

  onTrained(program.command("export"))
    .description("writes a trained model's adapter and head in the form that Python's PEFT loads")
    .requiredOption("-o, --output <FOLDER>", "where to", parsePath)
    .addOption(
      new Option(
        "--form <FORM>",
        "on the original base with twice the rank, or on a converted base beside it",
      )
        .choices(["original", "converted"]).default("original"),
    )
    .action(({ adapter, ...options }: ExportFlags) =>
      start(async (loading) => {
        const written = await exportAdapter(adapter, { ...loading, ...options });
        for (const path of written) print(path);
      }, process.stderr)
    );

  onTrained(program.command("merge"))
    .description("writes a trained model as a whole checkpoint that Python's transformers loads")
    .requiredOption("-o, --output <FOLDER>", "where to", parsePath)
    .action(({ adapter, ...options }: MergeFlags) =>
      start(async (loading) => {
        for (const path of await mergeModel(adapter, { ...loading, ...options })) print(path);
      }, process.stderr)
    );

  program.command("inspect")
    .description("lists what a safetensors file holds: tensors, shapes, norms, singular values")
    .argument("<FILE>", "weights or an adapter")
    .option("--plot <PATTERN>", "of which matrices to draw the singular values; by default of the largest")
    .action((path: string, { plot }: { plot?: string }) =>
      start(async ({ reporter }) => {
        await checkInspected(path);
        using gpu = await openGpu();
        const found = await inspectFile(gpu, path, {
          plot,
          onProgress: (done, total) => reporter.progress("decomposing", done, total),
        });
        reporter.endProgress();
        print(found);
      }, process.stderr)
    );
}

interface TrainedFlags extends TrainedSettings {
  readonly adapter: string;
}
interface AnswerFlags extends TrainedFlags, ReadingFlags {
  readonly noAnswerThreshold?: number;
  readonly json?: true;
}
interface PredictFlags extends AnswerFlags {
  readonly pair?: string;
  readonly question?: string;
  readonly file?: string;
}
interface EvaluateFlags extends AnswerFlags {
  readonly tuneNoAnswer?: true;
}
interface MergeFlags extends TrainedFlags {
  readonly output: string;
}
interface ExportFlags extends MergeFlags {
  readonly form: "original" | "converted";
}

/** The options that say which trained model. */
function onTrained(command: Command): Command {
  return command
    .requiredOption(
      "-a, --adapter <FOLDER>",
      "what federa run left for a method, an adapter of PEFT's, or a whole model (also hf:owner/name)",
      parsePath,
    )
    .option(
      "--base <SOURCE>",
      "the encoder that it was trained on, if it has moved",
      parsePath,
    )
    .addOption(
      new Option("--task <KIND>", "what it was trained for, if a PEFT adapter doesn't say").choices(
        taskKinds,
      ),
    )
    .option("--labels <NAMES>", "other names for its outputs, with commas between them", parseNames)
    .option(
      "--max-length <N>",
      "tokens of a text; by default what the folder says, or as many as the model reads",
      parseCount,
    );
}

/** By how much the score of no answer must exceed the best answer's. Commander would take `--no-…` for a negated option. */
function noAnswerThreshold(): Option {
  const option = new Option(
    "--no-answer-threshold <X>",
    "gives no answer where its score exceeds the best answer's by more than X; by default as recorded",
  ).argParser(parseNumber);
  option.negate = false;
  return option;
}

async function readLines(encoding: string | undefined): Promise<string[]> {
  if (process.stdin.isTTY) {
    throw new ConfigError("Cannot predict without texts: give them as arguments or on the standard input");
  }
  return splitLines(await readAll(process.stdin), encoding);
}
