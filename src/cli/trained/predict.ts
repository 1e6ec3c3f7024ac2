import { resolve } from "node:path";
import { findDataFiles } from "../../data/mod.ts";
import { type AnswerPrediction, predict as predictSet } from "../../tasks/mod.ts";
import type { LoadOptions } from "../../experiment/data/load_data.ts";
import { withThreshold } from "../../experiment/model/no_answer.ts";
import { prepareAnswers } from "../../experiment/data/prepare_set.ts";
import { withFileErrors } from "../../experiment/data/read_examples.ts";
import { openTrained } from "../../experiment/trained/open_trained.ts";
import { openTunedGpu } from "../../experiment/gpu/open_tuned_gpu.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import type { TrainedSettings } from "../../experiment/trained/trained_settings.ts";
import { askFile, askTexts, type Prompt, type PromptOptions } from "./prompts.ts";
import { type ReadingFlags, readingOf } from "./reading.ts";

/** Options of {@linkcode predict}. */
export interface PredictOptions extends LoadOptions, TrainedSettings, PromptOptions, ReadingFlags {
  /** A file of texts, instead of texts. */
  readonly file?: string | undefined;
  /** By how much the score of no answer must exceed the best answer's, instead of what the model's folder says. */
  readonly noAnswerThreshold?: number | undefined;
}

/** A prediction and the text that it is for. */
export interface Prediction extends Prompt {
  /** What the task's `predict` returns. */
  readonly prediction: unknown;
}

/**
 * Predicts for texts, or for the rows of a file, in their order.
 *
 * @param folder as for {@linkcode openTrained}.
 * @throws {ConfigError} when the task needs a question and there is none, or the other way round.
 */
export async function predict(
  folder: string,
  texts: readonly string[],
  options: PredictOptions,
): Promise<Prediction[]> {
  const { reporter, file, noAnswerThreshold } = options;
  if (file !== undefined && texts.length > 0) {
    throw new ConfigError("Cannot predict on texts and on a file: leave out the texts or --file");
  }
  // Before anything is loaded.
  if (file !== undefined) await withFileErrors(() => findDataFiles(resolve(file)));
  using gpu = await openTunedGpu(reporter);
  const { model: opened, tokenizer, description } = await openTrained(gpu, folder, options);
  const { maxLength, reading: recorded } = description;
  const paired = recorded && recorded.columns.textPair !== undefined;
  const model = noAnswerThreshold === undefined
    ? opened
    : withThreshold({ model: opened, task: description.task }, noAnswerThreshold).model;
  const { task } = model;
  const asked = file === undefined
    ? askTexts(task, texts, { ...options, paired })
    : await askFile(task, file, { ...options, reading: readingOf(description, { ...options, path: file }) });
  const set = prepareAnswers(task, asked.map(({ example }) => example), { tokenizer, reporter, maxLength });
  const predictions = await predictSet(model, set, {
    onProgress: (done, total) => reporter.progress("predicting", done, total),
  });
  reporter.endProgress();
  if (description.task.kind === "question-answering") {
    const threshold = noAnswerThreshold ?? description.task.noAnswerThreshold;
    if (threshold === undefined) offerThreshold(predictions as AnswerPrediction[], options);
  }
  return predictions.map((prediction, i) => ({ ...asked[i]!.prompt, prediction }));
}

/** Reports answers that score less than no answer. */
function offerThreshold(predictions: readonly AnswerPrediction[], { reporter }: LoadOptions): void {
  const worse = predictions.filter(({ noAnswerMargin }) => (noAnswerMargin ?? 0) > 0).length;
  if (worse === 0) return;
  reporter.line(
    `${worse} of ${predictions.length} answers score less than no answer; --no-answer-threshold 0 gives none there`,
  );
}
