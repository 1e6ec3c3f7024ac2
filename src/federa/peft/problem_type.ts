import type { Task } from "../../tasks/mod.ts";

const problemTypes: Readonly<Record<string, string>> = {
  "sequence-classification": "single_label_classification",
  "multi-label-classification": "multi_label_classification",
  "regression": "regression",
};

/** What `transformers` picks its loss by, as `problem_type` of a `config.json`; undefined where its class knows one loss alone. */
export function problemTypeOf({ kind }: Pick<Task, "kind">): string | undefined {
  return problemTypes[kind];
}
