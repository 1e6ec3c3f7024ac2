import type { TaskModel } from "../task_model.ts";
import type { TaskSet } from "../task_set.ts";
import { type EvaluateOptions, runModel } from "./run_model.ts";

/**
 * What a model predicts for each example of a set, in their order, as its task's `predictor` reads it.
 *
 * @throws {RangeError} on an empty set, or a token that the encoder has no embedding for.
 * @throws {NonFiniteError} when an output isn't finite.
 *
 * @example
 * ```ts no-run
 * const set = model.task.prepare([model.task.ask("would come again")], tokenizer, { maxLength: 128 });
 * const [prediction] = await predict(model, set);
 * ```
 */
export async function predict(
  model: TaskModel,
  set: TaskSet,
  options: EvaluateOptions = {},
): Promise<unknown[]> {
  const predictor = model.task.predictor(set);
  await runModel(model, set, { ...options, onRow: (row, { outputs }) => predictor.add(row, outputs) });
  return predictor.finish();
}
