import process from "node:process";
import { text as readAll } from "node:stream/consumers";
import { type Command, InvalidArgumentError, Option } from "commander";
import { openGpu } from "../../engine/mod.ts";
import { taskKinds } from "../../tasks/mod.ts";
import { columnParts, type ColumnsConfig } from "../config/columns_config.ts";
import { describeChoice } from "../config/describe_choice.ts";
import { ConfigError } from "../config/parse_config.ts";
import { evaluate } from "./evaluate.ts";
import { exportAdapter } from "./export.ts";
import { inspectFile } from "../inspection/inspect.ts";
import { mergeModel } from "./merge.ts";
import type { PeftSettings } from "./peft_description.ts";
import { predict } from "./predict.ts";
import { describePrediction } from "./describe_prediction.ts";
import { print, printJson } from "../print.ts";
import { scoreTitle } from "../score_title.ts";
import { parseCount, parseNames, start } from "../start.ts";

/** Adds the commands that use what a run has trained. */
export function addTrainedCommands(program: Command): void {
  onTrained(program.command("predict"))
    .description("answers texts by a trained model: classes, numbers, entities, or answers to a question")
    .argument("[TEXTS...]", "what to answer; by default the lines of the standard input")
    .option("--pair <TEXT>", "the second text, for tasks on pairs")
    .option("--question <TEXT>", "what is asked of the texts, for question answering")
    .option("--json", "prints a line of JSON for each text")
    .action((texts: string[], { adapter, json, ...options }: PredictFlags) =>
      start(async (loading) => {
        const given = texts.length > 0 ? texts : await readLines();
        for (const each of await predict(adapter, given, { ...loading, ...options })) {
          if (json) printJson(each);
          else print(describePrediction(each));
        }
      }, process.stderr)
    );

  onTrained(program.command("evaluate"))
    .description("scores a trained model on the examples of a file")
    .argument("<FILE>", "JSONL, CSV, TSV or Parquet")
    .option(
      "--column <ROLE=NAME>",
      "the column that has an example's text, label, …; several times for several",
      parseColumns,
      {},
    )
    .option("--json", "prints JSON")
    .action((data: string, { adapter, json, column, ...options }: EvaluateFlags) =>
      start(async (loading) => {
        const found = await evaluate(adapter, { ...loading, ...options, data, columns: column });
        if (json) return printJson(found);
        const scores = Object.entries({ loss: found.loss, ...found.scores });
        const lines = scores.map(([name, value]) => `${scoreTitle(name).padEnd(20)} ${value.toFixed(4)}`);
        print([`${found.numExamples} examples`, ...lines].join("\n"));
      }, process.stderr)
    );

  onTrained(program.command("export"))
    .description("writes a trained model's adapter and head in the form that Python's PEFT loads")
    .requiredOption("-o, --output <FOLDER>", "where to")
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
    .requiredOption("-o, --output <FOLDER>", "where to")
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

interface TrainedFlags extends PeftSettings {
  readonly adapter: string;
}
interface PredictFlags extends TrainedFlags {
  readonly pair?: string;
  readonly question?: string;
  readonly json?: true;
}
interface EvaluateFlags extends TrainedFlags {
  readonly column: ColumnsConfig;
  readonly json?: true;
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
    )
    .option("--base <SOURCE>", "the encoder that it was trained on, where it isn't where the folder says")
    .addOption(
      new Option("--task <KIND>", "what it was trained for, where an adapter of PEFT's doesn't say").choices(
        taskKinds,
      ),
    )
    .option("--labels <NAMES>", "other names for its outputs, with commas between them", parseNames)
    .option("--max-length <N>", "tokens of a text; by default what the folder says, or else 128", parseCount);
}

/** Adds a column given as `part=name`. */
function parseColumns(text: string, columns: ColumnsConfig): ColumnsConfig {
  const [part = "", name = ""] = text.split(/=(.*)/s);
  if (name === "") throw new InvalidArgumentError(`Expected PART=NAME, got ${text}`);
  if (columnParts.includes(part as keyof ColumnsConfig)) return { ...columns, [part]: name };
  throw new InvalidArgumentError(`Cannot use the part: ${describeChoice(columnParts, part)}`);
}

async function readLines(): Promise<string[]> {
  if (process.stdin.isTTY) {
    throw new ConfigError("Cannot predict without texts: give them as arguments or on the standard input");
  }
  return (await readAll(process.stdin)).split("\n").filter((line) => line.trim() !== "");
}
