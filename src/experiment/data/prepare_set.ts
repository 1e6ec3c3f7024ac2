import { placeOf } from "../../data/mod.ts";
import type { Tokenizer } from "../../models/mod.ts";
import type { Task, TaskSet } from "../../tasks/mod.ts";
import type { Example } from "./load_data.ts";
import type { Reporter } from "../report/reporter.ts";

/** Options of {@linkcode prepareTraining} and {@linkcode prepareAnswers}. */
export interface PrepareSetOptions {
  readonly maxLength: number;
  readonly reporter: Reporter;
}

/**
 * Tokens and targets of training examples. Questions that leave no room for their contexts are left out; a line counts these,
 * or the texts that were cut.
 *
 * @returns the set, and the examples that are in it.
 * @throws {RangeError} naming the first question, when none leaves room.
 */
export function prepareTraining(
  task: Task,
  examples: readonly Example[],
  { tokenizer, reporter, maxLength }: PrepareSetOptions & { readonly tokenizer: Tokenizer },
): { readonly set: TaskSet; readonly examples: readonly Example[] } {
  const all = prepare(task, examples, { tokenizer, maxLength });
  const skipped = withoutRows(all);
  if (skipped.length === 0) {
    reportCut(all, { reporter, maxLength, what: "texts to train on" });
    return { set: all, examples };
  }
  reporter.line(`Skipped ${describeSkipped(examples, skipped, maxLength)}`);
  const out = new Set(skipped);
  const kept = examples.filter((_, i) => !out.has(i));
  return { set: prepare(task, kept, { tokenizer, maxLength }), examples: kept };
}

/**
 * Tokens and targets of examples to predict or score, all of them: a question that leaves no room for its context gets no
 * answer. Lines count such questions and the texts that were cut.
 *
 * @throws {RangeError} naming the first question, when none leaves room.
 */
export function prepareAnswers(
  task: Task,
  examples: readonly Example[],
  { tokenizer, reporter, maxLength, what = "texts" }: PrepareSetOptions & {
    readonly tokenizer: Tokenizer;
    /** What the examples are called; `"texts"` by default. */
    readonly what?: string;
  },
): TaskSet {
  const set = prepare(task, examples, { tokenizer, maxLength });
  const skipped = withoutRows(set);
  if (skipped.length > 0) {
    reporter.line(`No answer for ${describeSkipped(examples, skipped, maxLength)}`);
  }
  reportCut(set, { reporter, maxLength, what });
  return set;
}

function prepare(
  task: Task,
  examples: readonly Example[],
  { tokenizer, maxLength }: { readonly tokenizer: Tokenizer; readonly maxLength: number },
): TaskSet {
  const set = task.prepare(examples, tokenizer, { maxLength, longQuestions: "skip" });
  // Throws, naming the first question.
  return set.size === 0 ? task.prepare(examples, tokenizer, { maxLength }) : set;
}

/** Indices of examples without a row. */
function withoutRows({ numExamples, firstRows }: TaskSet): number[] {
  return Array.from({ length: numExamples }, (_, i) => i).filter((i) => firstRows[i] === firstRows[i + 1]);
}

function describeSkipped(
  examples: readonly Example[],
  skipped: readonly number[],
  maxLength: number,
): string {
  const [index] = skipped as [number];
  const [leave, last] = skipped.length === 1
    ? ["it leaves", `it is ${placeOf(examples[index]!, index)}`]
    : ["they leave", `the first is ${placeOf(examples[index]!, index)}`];
  return `${skipped.length} of ${examples.length} questions: ${leave} no room for the context in ${maxLength} tokens ` +
    `(maxLength); ${last}`;
}

function reportCut(
  { numTruncated, numExamples }: TaskSet,
  { reporter, maxLength, what }: PrepareSetOptions & { readonly what: string },
): void {
  if (numTruncated === 0) return;
  reporter.line(
    `${numTruncated.toLocaleString("en")} of ${numExamples.toLocaleString("en")} ${what} ${
      numTruncated === 1 ? "was" : "were"
    } longer than ${maxLength} tokens and ${numTruncated === 1 ? "was" : "were"} cut (maxLength)`,
  );
}
