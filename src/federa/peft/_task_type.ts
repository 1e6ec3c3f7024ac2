import type { Task, TaskModel } from "../../tasks/mod.ts";

/** PEFT's name for a family of tasks, by the class of `transformers` that its models are of. */
export type PeftTaskType = "SEQ_CLS" | "TOKEN_CLS" | "QUESTION_ANS";

/** PEFT's name for a task. */
export function taskTypeOf({ perToken, kind }: Task): PeftTaskType {
  if (!perToken) return "SEQ_CLS";
  return kind === "question-answering" ? "QUESTION_ANS" : "TOKEN_CLS";
}

/** Whether a task of PEFT's is one of those, the others having no head of their own here. */
export function isTaskType(name: string | undefined): name is PeftTaskType {
  return name === "SEQ_CLS" || name === "TOKEN_CLS" || name === "QUESTION_ANS";
}

/**
 * The `task_type` of an exported model; null for questions to an encoder that distinguishes token types: PEFT's class for
 * QUESTION_ANS leaves `token_type_ids` out, and the one for null passes them on.
 */
export function exportedTypeOf({ task, encoder }: TaskModel): PeftTaskType | null {
  const type = taskTypeOf(task);
  return type === "QUESTION_ANS" && (encoder.numTypes ?? 1) > 1 ? null : type;
}
