import type { Task } from "../../tasks/mod.ts";

const problemTypes: Readonly<Record<string, string>> = {
  "sequence-classification": "single_label_classification",
  "multi-label-classification": "multi_label_classification",
  "regression": "regression",
};

/** The `problem_type` of a `config.json`, by which `transformers` chooses its loss; undefined if its class has only one loss. */
export function problemTypeOf({ kind }: Pick<Task, "kind">): string | undefined {
  return problemTypes[kind];
}
