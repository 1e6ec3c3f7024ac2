import { createTask, type Task } from "../../tasks/mod.ts";
import type { TaskConfig } from "../config/task_config.ts";

/** The task of a configuration, with the names of its outputs. */
export function buildTask(config: TaskConfig, labels: readonly string[]): Task {
  switch (config.kind) {
    case "question-answering": {
      const { noAnswerThreshold } = config;
      return createTask(config.kind, {
        ...config,
        noAnswerThreshold: noAnswerThreshold === "tune" ? 0 : noAnswerThreshold,
      }) as Task;
    }
    case "multi-label-classification":
      return createTask(config.kind, { ...config, labels }) as Task;
    default:
      return createTask(config.kind, { labels }) as Task;
  }
}
