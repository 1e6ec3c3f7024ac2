import { createTask, type Task } from "../tasks/mod.ts";
import type { TaskConfig } from "./config/task_config.ts";

/** The task of a configuration, with the names of its outputs. */
export function buildTask(config: TaskConfig, labels: readonly string[]): Task {
  switch (config.kind) {
    case "question-answering":
      return createTask(config.kind, config) as Task;
    case "multi-label-classification":
      return createTask(config.kind, { ...config, labels }) as Task;
    default:
      return createTask(config.kind, { labels }) as Task;
  }
}
