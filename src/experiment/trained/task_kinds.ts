import type { TaskKind } from "../../tasks/mod.ts";
import { parseWith } from "../config/parse_config.ts";
import { type TaskConfig, taskConfig } from "../config/task_config.ts";

/** PEFT's name for the tasks of one class of models. */
export type PeftTaskType = "SEQ_CLS" | "TOKEN_CLS" | "QUESTION_ANS";

/** Kinds of tasks that have heads alike, by PEFT's name for them. */
const kindsOfTypes: Readonly<Record<PeftTaskType, readonly TaskKind[]>> = {
  SEQ_CLS: ["sequence-classification", "multi-label-classification", "regression"],
  TOKEN_CLS: ["token-classification"],
  QUESTION_ANS: ["question-answering"],
};

/** PEFT's names for tasks that are known here. */
export const peftTaskTypes = Object.keys(kindsOfTypes) as readonly PeftTaskType[];

/** The kinds of tasks of a PEFT task type; undefined if it isn't known here. */
export function kindsOfType(type: string): readonly TaskKind[] | undefined {
  return peftTaskTypes.includes(type as PeftTaskType) ? kindsOfTypes[type as PeftTaskType] : undefined;
}

/** PEFT's name for the task of a class of `transformers`, as `BertForSequenceClassification`. */
export function typeOfClass(name: string): PeftTaskType | undefined {
  if (name.endsWith("ForSequenceClassification")) return "SEQ_CLS";
  if (name.endsWith("ForTokenClassification")) return "TOKEN_CLS";
  return name.endsWith("ForQuestionAnswering") ? "QUESTION_ANS" : undefined;
}

/** Whether a head for one kind of task can answer another. */
export function haveHeadsAlike(one: TaskKind, other: TaskKind): boolean {
  return Object.values(kindsOfTypes).some((kinds) => kinds.includes(one) && kinds.includes(other));
}

/** A task with its default settings. */
export function defaultTask(kind: TaskKind): TaskConfig {
  return parseWith(taskConfig, kind, kind);
}
