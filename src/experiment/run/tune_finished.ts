import { evaluate, type Evaluation, type TaskModel, type TaskSet } from "../../tasks/mod.ts";
import type { TaskConfig } from "../config/task_config.ts";
import type { Experiment } from "./experiment.ts";
import { tuneThreshold } from "../model/no_answer.ts";
import type { Reporter } from "../report/reporter.ts";

/** A model at the end of its rounds. */
export interface FinishedModel {
  readonly model: TaskModel;
  readonly task: TaskConfig;
  /** What was tuned, if anything. */
  readonly tuned?: {
    readonly noAnswerThreshold: number;
    readonly validation: Evaluation;
    readonly test: Evaluation;
  };
}

/** Tunes what the configuration asks to tune after training, on the validation part. */
export async function tuneFinished(
  { config: { task }, tuning, test }: Pick<Experiment, "tuning"> & {
    readonly config: Pick<Experiment["config"], "task">;
    readonly test: TaskSet | undefined;
  },
  model: TaskModel,
  { reporter }: { readonly reporter: Reporter },
): Promise<FinishedModel> {
  if (tuning === undefined || test === undefined) return { model, task };
  const { threshold, evaluation, ...tuned } = await tuneThreshold(model, tuning, { task, reporter });
  const after = await evaluate(tuned.model, test, {
    onProgress: (done, total) => reporter.progress("evaluating", done, total),
  });
  reporter.endProgress();
  return { ...tuned, tuned: { noAnswerThreshold: threshold, validation: evaluation, test: after } };
}

/** The task of models that aren't tuned, as clients' own aren't: the threshold of no answer stays 0. */
export function withoutTuning(task: TaskConfig): TaskConfig {
  return "noAnswerThreshold" in task && task.noAnswerThreshold === "tune"
    ? { ...task, noAnswerThreshold: 0 }
    : task;
}
