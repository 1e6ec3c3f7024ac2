import { type EncoderFamily, ModelConfigError } from "../models/mod.ts";
import { createTask } from "./create_task.ts";
import type { Task } from "./task.ts";

/**
 * The task that a model's `config.json` says it was trained for.
 *
 * @throws {ModelConfigError} when its class is none of the family's task models, or its labels aren't numbered from 0.
 */
export function taskOfConfig(
  json: Readonly<Record<string, unknown>>,
  { architectures, title }: EncoderFamily,
  source: string,
): Task {
  const named = Array.isArray(json["architectures"]) ? json["architectures"] : [];
  const { sequenceClassification, tokenClassification, questionAnswering } = architectures;
  const is = ({ architecture }: { readonly architecture: string }) => named.includes(architecture);
  if (is(questionAnswering)) return createTask("question-answering", {}) as Task;
  const labels = labelsOfConfig(json, source);
  if (is(tokenClassification)) return createTask("token-classification", { labels }) as Task;
  if (!is(sequenceClassification)) {
    const known = Object.values(architectures).map(({ architecture }) => architecture);
    throw new ModelConfigError(
      `Cannot open ${source} as a trained ${title}: architectures of its config.json must name one of ${
        known.join(", ")
      }, got ${named.join(", ") || "none"}`,
    );
  }
  if (json["problem_type"] === "multi_label_classification") {
    return createTask("multi-label-classification", { labels }) as Task;
  }
  return labels.length === 1
    ? createTask("regression", { labels }) as Task
    : createTask("sequence-classification", { labels }) as Task;
}

function labelsOfConfig(
  { id2label, num_labels }: Readonly<Record<string, unknown>>,
  source: string,
): string[] {
  if (id2label === undefined || id2label === null) {
    return Array.from({ length: typeof num_labels === "number" ? num_labels : 2 }, (_, i) => `LABEL_${i}`);
  }
  const entries = Object.entries(id2label);
  const labels = entries.map((_, i) => (id2label as Readonly<Record<string, unknown>>)[i]);
  if (labels.length > 0 && labels.every((label) => typeof label === "string")) return labels as string[];
  throw new ModelConfigError(
    `Cannot open ${source}: id2label of its config.json must give each number from 0 to ${
      entries.length - 1
    } a name`,
  );
}
