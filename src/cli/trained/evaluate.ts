import { resolve } from "node:path";
import { evaluate as evaluateModel, type Evaluation } from "../../fl/mod.ts";
import type { LoadOptions } from "../load_data.ts";
import { readExamples } from "../read_examples.ts";
import { columnProblem, type ColumnsConfig } from "../config/columns_config.ts";
import { ConfigError } from "../config/parse_config.ts";
import { openTrained } from "./open_trained.ts";
import { openTunedGpu } from "../open_tuned_gpu.ts";
import type { PeftSettings } from "./peft_description.ts";

/** Options of {@linkcode evaluate}. */
export interface EvaluateCommandOptions extends LoadOptions, PeftSettings {
  /** The file of examples. */
  readonly data: string;
  readonly columns: ColumnsConfig;
}

/** What {@linkcode evaluate} found. */
export interface CommandEvaluation extends Evaluation {
  readonly numExamples: number;
}

/**
 * Scores a trained model on the examples of a file.
 *
 * @param folder as for {@linkcode openTrained}.
 */
export async function evaluate(folder: string, options: EvaluateCommandOptions): Promise<CommandEvaluation> {
  const { reporter, data, columns } = options;
  using gpu = await openTunedGpu(reporter);
  const { model, tokenizer, description } = await openTrained(gpu, folder, options);
  const problem = columnProblem(description.task.kind, columns);
  if (problem !== undefined) throw new ConfigError(`Cannot use the columns: ${problem}`);
  const examples = await readExamples(description.task.kind, resolve(data), {
    columns,
    signal: options.signal,
  });
  const set = model.task.prepare(examples, tokenizer, description);
  const found = await evaluateModel(model, set, {
    onProgress: (done, total) => reporter.progress("evaluating", done, total),
  });
  reporter.endProgress();
  return { numExamples: set.numExamples, ...found };
}
