/**
 * What models learn: tasks, heads, losses, scores; inference and training of one model.
 *
 * @module
 */
export * from "./create_task.ts";
export * from "./heads/mod.ts";
export * from "./inference/mod.ts";
export * from "./kinds/mod.ts";
export * from "./largest.ts";
export * from "./metrics/mod.ts";
export * from "./open_task_model.ts";
export * from "./output_reader.ts";
export { extentsOf, layOut, type LayOutOptions, type RowLayout } from "./row_layout.ts";
export * from "./task.ts";
export {
  type ConfigJson,
  labelsOfConfig,
  type SequenceKind,
  sequenceKindOf,
  type TaskOfConfigOptions,
} from "./task_of_config.ts";
export * from "./task_model.ts";
export { permuteClasses } from "./permute_classes.ts";
export * from "./task_set.ts";
export * from "./training/mod.ts";
export * from "./transformers_names.ts";
