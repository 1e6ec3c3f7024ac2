import type { Gpu } from "../../../../engine/mod.ts";
import { checkLabels } from "../../../../experiment/data/check_labels.ts";
import type { LoadOptions } from "../../../../experiment/data/load_data.ts";
import { prepareAnswers, prepareTraining } from "../../../../experiment/data/prepare_set.ts";
import { readExamples } from "../../../../experiment/data/read_examples.ts";
import type { ReadingOptions } from "../../../../experiment/config/data_config.ts";
import { type LoadedModel, openModel } from "../../../../experiment/model/load_model.ts";
import { disposeHead } from "../../../../experiment/run/prepare.ts";
import { TaskModel, type TaskSet } from "../../../../tasks/mod.ts";
import { type Invitation, invitedTask } from "../invitation.ts";

/** Options of {@linkcode prepareParticipant}. */
export interface PrepareParticipantOptions extends LoadOptions {
  /** Where the pretrained model is: a folder, `hf:owner/name` or `npm:package@version`. */
  readonly model: string;
  /** Paths of its examples, and of those to score models on. */
  readonly data: string | readonly string[];
  readonly test?: string | readonly string[] | undefined;
  /** How the files are read. */
  readonly reading?: Partial<ReadingOptions> | undefined;
}

/** What a participant joins with. */
export interface PreparedParticipant {
  readonly pretrained: TaskModel;
  readonly model: LoadedModel;
  readonly train: TaskSet;
  readonly test: TaskSet | undefined;
  /** Frees the head. */
  [Symbol.dispose](): void;
}

/**
 * Loads what an invitation asks of a participant: its examples, whose labels must be the federation's, and the pretrained model.
 *
 * @throws {ConfigError} when a file can't be read, or has a label that the federation doesn't have.
 * @throws as opening the model throws.
 */
export async function prepareParticipant(
  invitation: Pick<Invitation, "federation" | "task" | "labels" | "model" | "maxLength" | "seed">,
  gpu: Gpu,
  options: PrepareParticipantOptions,
): Promise<PreparedParticipant> {
  const { reporter, signal, data, test: tests, reading, model: source } = options;
  const { task: { kind }, maxLength, seed, model: { pooling, precision } } = invitation;
  const task = invitedTask(invitation);
  const { labels } = task;
  const onNotice = (line: string) => reporter.line(line);
  const read = async (files: string | readonly string[]) => {
    const examples = await readExamples(kind, files, { ...reading, labels, signal, onNotice });
    checkLabels(examples, {
      kind,
      labels,
      owner: `the labels of federation ${invitation.federation}`,
      advice: "correct the file",
    });
    return examples;
  };
  const examples = await read(data);
  const tested = tests === undefined ? undefined : await read(tests);
  const choice = { model: { source, ...(pooling && { pooling }) }, precision };
  const opened = await openModel(gpu, choice, { reporter, signal });
  const tokenizer = await opened.tokenizer();
  const prepared = { tokenizer, reporter, maxLength };
  const { set: train } = prepareTraining(task, examples, prepared);
  const test = tested && prepareAnswers(task, tested, { ...prepared, what: "texts to test on" });
  const model = await opened.load();
  reporter.endProgress();
  const pretrained = TaskModel.create(gpu, model.encoder, { task, seed });
  return { pretrained, model, train, test, [Symbol.dispose]: () => disposeHead(pretrained) };
}
