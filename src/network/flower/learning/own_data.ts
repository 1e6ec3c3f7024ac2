import { checkLabels } from "../../../experiment/data/check_labels.ts";
import type { Example } from "../../../experiment/data/load_data.ts";
import { prepareAnswers, prepareTraining } from "../../../experiment/data/prepare_set.ts";
import { buildTask } from "../../../experiment/model/build_task.ts";
import { taskConfig } from "../../../experiment/config/task_config.ts";
import type { Reporter } from "../../../experiment/mod.ts";
import type { Tokenizer } from "../../../models/mod.ts";
import type { Task, TaskKind, TaskSet } from "../../../tasks/mod.ts";
import { RefusedRunError } from "./refusal.ts";
import type { FlowerSettings } from "./settings.ts";

/** The examples of a node; they never leave it. */
export interface OwnExamples {
  readonly kind: TaskKind;
  readonly train: readonly Example[];
  /** What it is scored on; by default what it trains on. */
  readonly test?: readonly Example[] | undefined;
  /** Names of the outputs, in their order, where the node insists on them; by default as the server says. */
  readonly labels?: readonly string[] | undefined;
}

/** A node's examples as tokens and targets of a run's task. */
export interface OwnData {
  readonly task: Task;
  readonly train: TaskSet;
  readonly test: TaskSet;
}

/**
 * Makes of a node's examples what a run trains and scores on.
 *
 * @throws {RefusedRunError} when the server has another task, or other labels than the node insists on.
 * @throws {ConfigError} when an example has a label that isn't among the server's.
 */
export function prepareOwnData(
  { kind, train, test, labels: own }: OwnExamples,
  { settings, tokenizer, reporter }: {
    readonly settings: FlowerSettings;
    readonly tokenizer: Tokenizer;
    readonly reporter: Reporter;
  },
): OwnData {
  const { labels, maxLength } = settings;
  if (settings.task !== kind) {
    throw new RefusedRunError(
      `Cannot take part in ${settings.task}: this node's examples are for ${kind}; start it with --task ${settings.task} and such examples`,
    );
  }
  if (own !== undefined && JSON.stringify(own) !== JSON.stringify(labels)) {
    throw new RefusedRunError(
      `Cannot take part with the labels ${labels.join(", ")}: this node expects ${
        own.join(", ")
      }, in that order; agree on one list, or leave out --labels`,
    );
  }
  const advice = "ask for a run with that label, or correct the file";
  for (const examples of [train, test ?? []]) {
    checkLabels(examples, { kind, labels, owner: "the server's labels", advice });
  }
  const task = buildTask(taskConfig.parse(kind), labels);
  const prepared = { tokenizer, reporter, maxLength };
  const { set } = prepareTraining(task, train, prepared);
  return {
    task,
    train: set,
    test: test === undefined
      ? set
      : prepareAnswers(task, test, { ...prepared, what: "texts to be scored on" }),
  };
}
