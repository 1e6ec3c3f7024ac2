/**
 * What models learn: tasks, heads, losses, scores.
 *
 * @module
 */
export * from "./classification.ts";
export * from "./head.ts";
export * from "./metrics/mod.ts";
export * from "./task.ts";
export * from "./task_model.ts";
export * from "./task_set.ts";
