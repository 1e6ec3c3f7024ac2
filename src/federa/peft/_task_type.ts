import type { Task } from "../../tasks/mod.ts";

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
