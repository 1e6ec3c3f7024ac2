import { readJsonObject } from "../../hub/files/read_json_object.ts";
import type { ModelFiles } from "../../hub/files/model_files.ts";
import type { Task } from "../../tasks/mod.ts";
import { problemTypeOf } from "./problem_type.ts";

/**
 * The pretrained model's `config.json`, made that of a task model: its class, the names of its labels, and that its weights are
 * float32.
 *
 * @throws {TypeError} when the model has none.
 */
export async function taskModelConfig(
  files: ModelFiles,
  { architecture, task }: { readonly architecture: string; readonly task: Task },
): Promise<Record<string, unknown>> {
  const json = await readJsonObject(files, "config.json");
  if (json === undefined) {
    throw new TypeError(`Cannot write a checkpoint like that of ${files.source}: it has no config.json`);
  }
  // What the base says of its own outputs would contradict these.
  const { torch_dtype: _, problem_type: __, num_labels: ___, _num_labels: ____, ...config } = json;
  const problemType = problemTypeOf(task);
  return {
    ...config,
    architectures: [architecture],
    dtype: "float32",
    id2label: Object.fromEntries(task.labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(task.labels.map((label, i) => [label, i])),
    ...problemType !== undefined && { problem_type: problemType },
  };
}
