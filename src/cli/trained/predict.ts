import { modelOutputs } from "../../fl/mod.ts";
import type { LoadOptions } from "../load_data.ts";
import { openTrained } from "./open_trained.ts";
import { openTunedGpu } from "../open_tuned_gpu.ts";
import type { PeftSettings } from "./peft_description.ts";
import { readPrompts } from "./prompts.ts";

/** Options of {@linkcode predict}. */
export interface PredictOptions extends LoadOptions, PeftSettings {
  /** The second text of a pair. */
  readonly pair?: string | undefined;
  /** What is asked of the texts. */
  readonly question?: string | undefined;
}

/** An answer and the text that it is about. */
export interface Prediction {
  readonly text: string;
  /** What the task's `predict` gives. */
  readonly prediction: unknown;
}

/**
 * Gives a trained model's answers to texts.
 *
 * @param folder as for {@linkcode openTrained}.
 * @throws {ConfigError} when the task needs a question and there is none, or the other way round.
 */
export async function predict(
  folder: string,
  texts: readonly string[],
  options: PredictOptions,
): Promise<Prediction[]> {
  using gpu = await openTunedGpu(options.reporter);
  const { model, tokenizer, description } = await openTrained(gpu, folder, options);
  const set = model.task.prepare(readPrompts(model.task, texts, options), tokenizer, description);
  const { outputs } = await modelOutputs(model, set, {
    onProgress: (done, total) => options.reporter.progress("predicting", done, total),
  });
  options.reporter.endProgress();
  return model.task.predict(set, outputs).map((prediction, i) => ({ text: texts[i]!, prediction }));
}
