import type {
  MultiLabelExample,
  QuestionExample,
  RegressionExample,
  TaggedExample,
  TextExample,
} from "../data/examples/examples.ts";
import { labelsOf } from "../data/examples/text_example.ts";
import { classification, type ClassificationOptions } from "./kinds/classification.ts";
import {
  multiLabelClassification,
  type MultiLabelClassificationOptions,
  multiLabelsOf,
} from "./kinds/multi_label.ts";
import { questionAnswering, type QuestionAnsweringOptions } from "./kinds/questions/question_answering.ts";
import { regression, type RegressionOptions, valuesOf } from "./kinds/regression.ts";
import type { Task } from "./task.ts";
import {
  tagsOf,
  tokenClassification,
  type TokenClassificationOptions,
} from "./kinds/token_classification.ts";

/** The example of each kind of task. */
export interface TaskExamples {
  "sequence-classification": TextExample;
  "multi-label-classification": MultiLabelExample;
  "regression": RegressionExample;
  "token-classification": TaggedExample;
  "question-answering": QuestionExample;
}

/** What {@linkcode Task.kind} may be. */
export type TaskKind = keyof TaskExamples;

/** Options of each kind of task. */
export interface TaskOptions {
  "sequence-classification": ClassificationOptions;
  "multi-label-classification": MultiLabelClassificationOptions;
  "regression": RegressionOptions;
  "token-classification": TokenClassificationOptions;
  "question-answering": QuestionAnsweringOptions;
}

interface TaskFamily<Kind extends TaskKind> {
  create(options: TaskOptions[Kind]): Task<TaskExamples[Kind]>;
  labelsOf(examples: Iterable<TaskExamples[Kind]>): string[];
}

const families: { readonly [Kind in TaskKind]: TaskFamily<Kind> } = {
  "sequence-classification": { create: classification, labelsOf },
  "multi-label-classification": { create: multiLabelClassification, labelsOf: multiLabelsOf },
  "regression": { create: regression, labelsOf: valuesOf },
  "token-classification": { create: tokenClassification, labelsOf: tagsOf },
  "question-answering": { create: questionAnswering, labelsOf: () => ["start", "end"] },
};

/** All kinds of tasks. */
export const taskKinds = Object.keys(families) as readonly TaskKind[];

/**
 * A task by its kind, as configurations and files name it.
 *
 * @throws {RangeError} on an unknown kind, and what the task itself throws.
 *
 * @example
 * ```ts
 * const task = createTask("token-classification", { labels: ["O", "B-PER", "I-PER"] });
 * task.metrics; // ["f1", "precision", "recall", "accuracy"]
 * ```
 */
export function createTask<Kind extends TaskKind>(
  kind: Kind,
  options: TaskOptions[Kind],
): Task<TaskExamples[Kind]> {
  return familyOf(kind).create(options);
}

/**
 * Names of a task's outputs that suit examples: the classes, labels or tags that occur, always in the same order.
 *
 * @throws {RangeError} on an unknown kind.
 */
export function labelsFor<Kind extends TaskKind>(
  kind: Kind,
  examples: Iterable<TaskExamples[Kind]>,
): string[] {
  return familyOf(kind).labelsOf(examples);
}

function familyOf<Kind extends TaskKind>(kind: Kind): TaskFamily<Kind> {
  if (Object.hasOwn(families, kind)) return families[kind];
  throw new RangeError(`Cannot create a task of kind "${kind}": expected one of ${taskKinds.join(", ")}`);
}
