import type { QuestionExample } from "../../data/mod.ts";
import {
  type AnswerPrediction,
  type Evaluation,
  MeanLoss,
  type QuestionSet,
  runModel,
  scoresWithThreshold,
  TaskModel,
  type TaskSet,
  tuneNoAnswerThreshold,
} from "../../tasks/mod.ts";
import { buildTask } from "./build_task.ts";
import { ConfigError } from "../config/parse_config.ts";
import type { TaskConfig } from "../config/task_config.ts";
import type { Example } from "../data/load_data.ts";
import type { Reporter } from "../report/reporter.ts";

/**
 * Returns a question-answering task with noAnswerThreshold 0 if it has none and some questions have no answer, and reports
 * that. Other tasks are returned unchanged.
 */
export function withDefaultThreshold(
  task: TaskConfig,
  examples: readonly Example[],
  { reporter }: { readonly reporter: Reporter },
): TaskConfig {
  if (task.kind !== "question-answering" || task.noAnswerThreshold !== undefined) return task;
  const unanswerable = countUnanswerable(examples);
  if (unanswerable === 0) return task;
  reporter.line(
    `${unanswerable} of ${examples.length} questions have no answer: the model gives none where that scores higher than ` +
      `its best answer (noAnswerThreshold 0)`,
  );
  return { ...task, noAnswerThreshold: 0 };
}

/**
 * Checks that a threshold can be tuned on questions.
 *
 * @throws {ConfigError} unless some have an answer and others have none.
 */
export function checkTuning(examples: readonly Example[], place: string): void {
  const unanswerable = countUnanswerable(examples);
  if (unanswerable > 0 && unanswerable < examples.length) return;
  throw new ConfigError(
    `Cannot tune noAnswerThreshold on ${place}: expected questions with an answer and questions without, got ${
      examples.length - unanswerable
    } and ${unanswerable}`,
  );
}

/** The result of {@linkcode tuneThreshold}. */
export interface TunedThreshold {
  /** The model with the threshold. */
  readonly model: TaskModel;
  readonly task: TaskConfig;
  readonly threshold: number;
  /** The model's scores with it on the questions that it was tuned on. */
  readonly evaluation: Evaluation;
}

/** Finds the threshold with the best F1 of a model on a set, and returns the model with it. */
export async function tuneThreshold(
  model: TaskModel,
  set: TaskSet,
  { task, reporter }: { readonly task: TaskConfig; readonly reporter: Reporter },
): Promise<TunedThreshold> {
  const [predictor, loss] = [model.task.predictor(set), new MeanLoss(set)];
  await runModel(model, set, {
    onRow(row, { outputs, losses }) {
      predictor.add(row, outputs);
      loss.add(row, losses);
    },
    onProgress: (done, total) => reporter.progress("tuning noAnswerThreshold", done, total),
  });
  reporter.endProgress();
  const [questions, predictions] = [set as QuestionSet, predictor.finish() as AnswerPrediction[]];
  const { threshold } = tuneNoAnswerThreshold(questions, predictions);
  const scores = scoresWithThreshold(questions, predictions, { noAnswerThreshold: threshold });
  return {
    ...withThreshold({ model, task }, threshold),
    threshold,
    evaluation: { loss: loss.finish(), scores },
  };
}

/** Gives a model a no-answer threshold, and returns it with its task. */
export function withThreshold(
  { model: { encoder, head, task: { labels } }, task }: {
    readonly model: TaskModel;
    readonly task: TaskConfig;
  },
  noAnswerThreshold: number,
): { readonly model: TaskModel; readonly task: TaskConfig } {
  if (task.kind !== "question-answering") {
    throw new ConfigError(
      `Cannot use a no-answer threshold for ${task.kind}: only question-answering has one`,
    );
  }
  const own: TaskConfig = { ...task, noAnswerThreshold };
  return { model: new TaskModel(encoder, head, { task: buildTask(own, labels) }), task: own };
}

function countUnanswerable(examples: readonly Example[]): number {
  return examples.filter((example) => (example as QuestionExample).answers.length === 0).length;
}
