import { resolve } from "node:path";
import { parseModelSpec } from "../../hub/model_spec.ts";
import { findDataFiles } from "../../data/mod.ts";
import { openModelFiles } from "../../hub/mod.ts";
import { evaluate as evaluateModel, type Evaluation } from "../../tasks/mod.ts";
import { checkLabels } from "../../experiment/data/check_labels.ts";
import type { Example, LoadOptions } from "../../experiment/data/load_data.ts";
import {
  checkTuning,
  tuneThreshold,
  withDefaultThreshold,
  withThreshold,
} from "../../experiment/model/no_answer.ts";
import { prepareAnswers } from "../../experiment/data/prepare_set.ts";
import { readExamples, withFileErrors } from "../../experiment/data/read_examples.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import { type ModelDescription, writeDescription } from "../../experiment/trained/model_folder.ts";
import { openTrained, recordOf, type TrainedModel } from "../../experiment/trained/open_trained.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import type { TrainedSettings } from "../../experiment/trained/trained_settings.ts";
import { type ReadingFlags, readingOf } from "./reading.ts";
import { readTaskNote, writeTaskNote } from "../../experiment/trained/task_note.ts";

/** Options of {@linkcode evaluate}. */
export interface EvaluateCommandOptions extends LoadOptions, TrainedSettings, ReadingFlags {
  /** The file of examples. */
  readonly data: string;
  /** By how much the score of no answer must exceed the best answer's, instead of what the model's folder says. */
  readonly noAnswerThreshold?: number | undefined;
  /** Takes the threshold with the best F1 on the file, and keeps it in the model's folder. */
  readonly tuneNoAnswer?: boolean | undefined;
}

/** What {@linkcode evaluate} found. */
export interface CommandEvaluation extends Evaluation {
  readonly numExamples: number;
  /** The threshold of no answer, of models that have one. */
  readonly noAnswerThreshold?: number;
}

/**
 * Scores a trained model on the examples of a file.
 *
 * @param folder as for {@linkcode openTrained}.
 * @throws {ConfigError} when options don't fit the model, or an example has a label that the model doesn't have.
 */
export async function evaluate(folder: string, options: EvaluateCommandOptions): Promise<CommandEvaluation> {
  const { reporter, data, tuneNoAnswer } = options;
  if (tuneNoAnswer && options.noAnswerThreshold !== undefined) {
    throw new ConfigError(
      "Cannot tune the threshold and use a given one: leave out --no-answer-threshold or --tune-no-answer",
    );
  }
  // The labels of a model of `federa run` are known before it is loaded.
  const recorded = await recordOf(folder);
  const early = recorded === undefined
    ? undefined
    : await readLabelled({ ...recorded, labels: [...options.labels ?? recorded.labels] }, options);
  if (recorded === undefined) await withFileErrors(() => findDataFiles(resolve(data)));
  using gpu = await openTunedGpu(reporter);
  const trained = await openTrained(gpu, folder, options);
  const { tokenizer, description: { maxLength } } = trained;
  const examples = early ?? await readLabelled(trained.description, options);
  const { model, task } = ofThreshold(trained, examples, options);
  if (tuneNoAnswer) checkTuning(examples, data);
  const set = prepareAnswers(model.task, examples, { tokenizer, reporter, maxLength });
  const { numExamples } = set;
  if (tuneNoAnswer) {
    const { threshold, evaluation } = await tuneThreshold(model, set, { task, reporter });
    await keepThreshold(folder, threshold, options);
    return { numExamples, noAnswerThreshold: threshold, ...evaluation };
  }
  const found = await evaluateModel(model, set, {
    onProgress: (done, total) => reporter.progress("evaluating", done, total),
  });
  reporter.endProgress();
  const threshold = task.kind === "question-answering" ? task.noAnswerThreshold : undefined;
  return { numExamples, ...(typeof threshold === "number" && { noAnswerThreshold: threshold }), ...found };
}

/** The examples of the file, whose labels are checked against the model's. */
async function readLabelled(
  description: Pick<ModelDescription, "task" | "labels" | "reading">,
  options: EvaluateCommandOptions,
): Promise<Example[]> {
  const { task: { kind }, labels } = description;
  const { data, reporter, signal } = options;
  const examples = await readExamples(kind, resolve(data), {
    ...readingOf(description, { ...options, path: data }),
    labels,
    signal,
    onNotice: (message) => reporter.line(message),
  });
  checkLabels(examples, {
    kind,
    labels,
    owner: "the model's labels",
    advice: "use --labels to name the model's labels as the file does, or correct the file",
  });
  return examples;
}

/** The model with the given threshold, or the recorded one, or 0 if some questions have no answer. */
function ofThreshold(
  { model, description: { task } }: TrainedModel,
  examples: readonly Example[],
  { reporter, noAnswerThreshold, tuneNoAnswer }: EvaluateCommandOptions,
): Pick<TrainedModel, "model"> & { readonly task: TrainedModel["description"]["task"] } {
  if (noAnswerThreshold !== undefined) return withThreshold({ model, task }, noAnswerThreshold);
  if (tuneNoAnswer) return withThreshold({ model, task }, 0);
  const own = withDefaultThreshold(task, examples, { reporter });
  return own === task ? { model, task } : withThreshold({ model, task }, 0);
}

/** Keeps a threshold in the folder of a model that `federa` has written, and says how to use it elsewhere. */
async function keepThreshold(folder: string, threshold: number, { reporter }: LoadOptions): Promise<void> {
  const own = await recordOf(folder);
  const note = own === undefined && parseModelSpec(folder).kind === "folder"
    ? await readTaskNote(await openModelFiles(folder))
    : undefined;
  if (own?.task.kind === "question-answering") {
    await writeDescription(folder, { ...own, task: { ...own.task, noAnswerThreshold: threshold } });
  } else if (note?.task.kind === "question-answering") {
    await writeTaskNote(folder, { ...note, task: { ...note.task, noAnswerThreshold: threshold } });
  } else {
    return reporter.line(
      `The threshold can't be stored in ${folder}: pass --no-answer-threshold ${threshold} to predict and evaluate`,
    );
  }
  reporter.line(`Kept noAnswerThreshold ${threshold} in ${folder}`);
}
