import type { Scores } from "../task.ts";
import type { TaskModel } from "../task_model.ts";
import type { TaskSet } from "../task_set.ts";
import { MeanLoss } from "./mean_loss.ts";
import { type EvaluateOptions, runModel } from "./run_model.ts";

/** How well a model does on a set of examples. */
export interface Evaluation {
  /** Mean of the losses of all targets that count, in nats, or squares where numbers are predicted. */
  readonly loss: number;
  /** What the task scores, such as `accuracy`. */
  readonly scores: Scores;
}

/**
 * Evaluates a model without recording gradients. Its outputs are scored as they come and never held all at once.
 *
 * @throws {RangeError} on an empty set, or one of which no target counts.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function evaluate(
  model: TaskModel,
  set: TaskSet,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const [scorer, loss] = [model.task.scorer(set), new MeanLoss(set)];
  await runModel(model, set, {
    ...options,
    onRow(row, { outputs, losses }) {
      scorer.add(row, outputs);
      loss.add(row, losses);
    },
  });
  return { loss: loss.finish(), scores: scorer.finish() };
}
