/**
 * What models learn: tasks, heads, losses, scores.
 *
 * @module
 */
export * from "./head.ts";
export * from "./task.ts";
export * from "./task_model.ts";
export * from "./task_set.ts";
