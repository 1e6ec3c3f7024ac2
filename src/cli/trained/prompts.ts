import { resolve } from "node:path";
import { notePlace } from "../../data/examples/example_place.ts";
import { findDataFiles, placeOf, type PromptKinds, readPrompts as read } from "../../data/mod.ts";
import type { Task, TaskKind } from "../../tasks/mod.ts";
import { exampleColumns } from "../../experiment/config/columns_config.ts";
import type { ReadingOptions } from "../../experiment/config/data_config.ts";
import type { Example, LoadOptions } from "../../experiment/data/load_data.ts";
import { ConfigError } from "../../experiment/config/parse_config.ts";
import { stated, withFileErrors } from "../../experiment/data/read_examples.ts";

/** What the user gives beside texts. */
export interface PromptOptions {
  /** The second text of a pair. */
  readonly pair?: string | undefined;
  /** What is asked of the texts. */
  readonly question?: string | undefined;
}

/** What to predict for. */
export interface Prompt {
  /** The text, or the context of a question; words with a space between. */
  readonly text: string;
  readonly textPair?: string;
  readonly question?: string;
  /** Words, of a file that has them apart. */
  readonly tokens?: readonly string[];
}

/** A prompt, and an example made of it without its label. */
export interface AskedPrompt {
  readonly prompt: Prompt;
  readonly example: Example;
}

/**
 * Makes unlabelled examples of a task from texts.
 *
 * @throws {ConfigError} when the task needs a question and there is none, or takes no question or pair; or when the model was
 *   trained on pairs and there is one text, or the other way round.
 */
export function askTexts(
  task: Task,
  texts: readonly string[],
  { pair, question, paired }: PromptOptions & {
    /** Whether the model was trained on pairs of texts, where that is known. */
    readonly paired?: boolean | undefined;
  },
): AskedPrompt[] {
  const refuse = (reason: string) => new ConfigError(`Cannot predict by ${task.kind}: ${reason}`);
  if (task.kind === "question-answering") {
    if (question === undefined) throw refuse("there is no question, give --question");
    if (pair !== undefined) throw refuse("it takes no --pair");
    return texts.map((text) => ({ prompt: { text }, example: task.ask(question, text) as Example }));
  }
  if (question !== undefined) throw refuse("it takes no --question");
  if (pair !== undefined && task.kind === "token-classification") throw refuse("it takes no --pair");
  if (pair === undefined && paired === true) {
    throw refuse("the model was trained on pairs of texts, give the second one by --pair");
  }
  if (pair !== undefined && paired === false) {
    throw refuse("the model was trained on single texts, leave --pair out");
  }
  return texts.map((text) => ({ prompt: { text }, example: task.ask(text, pair) as Example }));
}

/**
 * Makes unlabelled examples of a task from the rows of a file, which may or may not have labels.
 *
 * @throws {ConfigError} when the file cannot be opened, or has what a person gives too.
 * @throws {CorruptFileError} when it isn't what it should be.
 */
export async function askFile(
  task: Task,
  path: string,
  options: LoadOptions & PromptOptions & { readonly reading: ReadingOptions },
): Promise<AskedPrompt[]> {
  for (const name of ["pair", "question"] as const) {
    if (options[name] === undefined) continue;
    throw new ConfigError(`Cannot predict with --file and --${name}: the file's columns provide it`);
  }
  const { columns, missingLabels: _, ...rest } = options.reading;
  const { signal, reporter } = options;
  const kind = task.kind as TaskKind;
  const onNotice = (message: string) => reporter.line(message);
  const prompts = await withFileErrors(async () =>
    await read(await findDataFiles(resolve(path), { format: rest.format, onNotice }), kind, {
      ...stated({ ...rest, signal }),
      columns: exampleColumns(kind, columns),
      onNotice,
    })
  );
  return prompts.map((row, i) => {
    const asked = askRow(task, row);
    notePlace(asked.example, () => placeOf(row, i));
    return asked;
  });
}

function askRow(task: Task, row: PromptKinds[TaskKind]): AskedPrompt {
  if ("tokens" in row) {
    const { tokens } = row;
    const tags = tokens.map(() => task.labels[0]!);
    return { prompt: { text: tokens.join(" "), tokens }, example: { tokens, tags } };
  }
  if ("question" in row) {
    const { question, context } = row;
    return { prompt: { text: context, question }, example: { ...row, answers: [] } };
  }
  return { prompt: row, example: task.ask(row.text, row.textPair) as Example };
}
