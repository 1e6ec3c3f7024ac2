/**
 * What models learn: tasks, heads, losses, scores; inference and training of one model.
 *
 * @module
 */
export * from "./classification.ts";
export * from "./create_task.ts";
export * from "./head.ts";
export * from "./inference/mod.ts";
export * from "./metrics/mod.ts";
export * from "./multi_label.ts";
export * from "./open_task_model.ts";
export * from "./question_answering.ts";
export * from "./regression.ts";
export * from "./sentence_head.ts";
export * from "./task.ts";
export {
  type ConfigJson,
  labelsOfConfig,
  type SequenceKind,
  sequenceKindOf,
  type TaskOfConfigOptions,
} from "./task_of_config.ts";
export * from "./task_model.ts";
export * from "./task_set.ts";
export * from "./token_classification.ts";
export * from "./training/mod.ts";
export * from "./transformers_names.ts";
export * from "./tune_no_answer.ts";
