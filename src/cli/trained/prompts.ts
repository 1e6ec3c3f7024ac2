import type { Task } from "../../tasks/mod.ts";
import { ConfigError } from "../config/parse_config.ts";

/** What a person gives beside a text. */
export interface PromptOptions {
  /** The second text of a pair. */
  readonly pair?: string | undefined;
  /** What is asked of the texts. */
  readonly question?: string | undefined;
}

/**
 * Texts as examples of a task whose answers nobody knows.
 *
 * @throws {ConfigError} when the task needs a question and there is none, or takes no question or pair.
 */
export function readPrompts<Example>(
  task: Task<Example>,
  texts: readonly string[],
  { pair, question }: PromptOptions,
): Example[] {
  const refuse = (reason: string) => new ConfigError(`Cannot predict by ${task.kind}: ${reason}`);
  if (task.kind === "question-answering") {
    if (question === undefined) throw refuse("there is no question, give --question");
    if (pair !== undefined) throw refuse("it takes no --pair");
    return texts.map((context) => task.ask(question, context));
  }
  if (question !== undefined) throw refuse("it takes no --question");
  if (pair !== undefined && task.kind === "token-classification") throw refuse("it takes no --pair");
  return texts.map((text) => task.ask(text, pair));
}
