import type { TaskModel } from "../task_model.ts";
import type { TaskSet } from "../task_set.ts";
import { type EvaluateOptions, runModel } from "./run_model.ts";

/** What a model gives for a set. */
export interface ModelOutputs {
  /** [N, K], or [N, T, K] where the task asks for each token's. */
  readonly outputs: Float32Array;
  /** The loss of each target, [N, targetsPerRow]; 0 where it doesn't count. */
  readonly losses: Float32Array;
}

/**
 * The outputs of a model on every row of a set, all held at once; where they are many, read them as they come by
 * {@linkcode runModel}. Outputs of tokens that are padding are 0.
 *
 * @throws {RangeError} on an empty set, or a token that the encoder has no embedding for.
 * @throws {NonFiniteError} when an output isn't finite.
 */
export async function modelOutputs(
  model: TaskModel,
  set: TaskSet,
  options: EvaluateOptions = {},
): Promise<ModelOutputs> {
  const width = model.task.labels.length * (model.task.perToken ? set.length : 1);
  const all = {
    outputs: new Float32Array(set.size * width),
    losses: new Float32Array(set.size * set.targetsPerRow),
  };
  await runModel(model, set, {
    ...options,
    onRow(row, { outputs, losses }) {
      all.outputs.set(outputs, row * width);
      all.losses.set(losses, row * set.targetsPerRow);
    },
  });
  return all;
}
