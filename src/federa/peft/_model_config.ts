import { readJsonObject } from "../../data/json_object.ts";
import type { ModelFiles } from "../../data/hub/model_files.ts";
import type { Task } from "../../tasks/mod.ts";

/** What `transformers` picks its loss by. */
const problemTypes: Readonly<Record<string, string>> = {
  "sequence-classification": "single_label_classification",
  "multi-label-classification": "multi_label_classification",
  "regression": "regression",
};

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
  const { torch_dtype: _, problem_type: __, ...config } = json;
  const problemType = problemTypes[task.kind];
  return {
    ...config,
    architectures: [architecture],
    dtype: "float32",
    id2label: Object.fromEntries(task.labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(task.labels.map((label, i) => [label, i])),
    ...problemType !== undefined && { problem_type: problemType },
  };
}
