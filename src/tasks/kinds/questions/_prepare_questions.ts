import { placeOf } from "../../../data/examples/example_place.ts";
import type { QuestionExample } from "../../../data/examples/examples.ts";
import type { PairWindow, Tokenizer } from "../../../models/mod.ts";
import { padBatch } from "../../../models/tokenizer/pad_batch.ts";
import { answerTokens, nowhere } from "./_answer_tokens.ts";
import type { QuestionSet } from "./question_answering.ts";
import type { PrepareOptions } from "../../task.ts";
import { createTaskSet } from "../../task_set.ts";

/**
 * A row for each window on each example's context, and where its first answer stands in it.
 *
 * @throws {RangeError} naming an example that leaves no room for its context, or whose answer isn't where it's said to be.
 */
export function prepareQuestions(
  examples: readonly QuestionExample[],
  tokenizer: Tokenizer,
  { maxLength, longQuestions, stride = Math.floor(maxLength / 3) }: PrepareOptions & {
    readonly stride?: number;
  },
): QuestionSet {
  const windowsOf = examples.map((example, i) => {
    checkAnswers(example, i);
    return openWindows(example, { tokenizer, maxLength, stride, index: i, longQuestions });
  });
  const windows = windowsOf.flat();
  const targets = windowsOf.flatMap((each, i) => {
    const answer = examples[i]!.answers[0];
    return answer === undefined ? each.map(() => nowhere) : answerTokens(each, answer);
  });
  const firstRows = new Uint32Array(examples.length + 1);
  windowsOf.forEach(({ length }, i) => firstRows[i + 1] = firstRows[i]! + length);
  const batch = padBatch(windows, { padId: tokenizer.padId, padTo: maxLength });
  return {
    ...createTaskSet(batch, { targets: Int32Array.from(targets.flat()), firstRows }),
    examples,
    spans: windows.map(({ spans }) => spans),
  };
}

function openWindows(
  example: QuestionExample,
  { tokenizer, index, longQuestions, ...options }: PrepareOptions & {
    readonly tokenizer: Tokenizer;
    readonly stride: number;
    readonly index: number;
  },
): PairWindow[] {
  const { id, question, context } = example;
  try {
    return tokenizer.encodePair(question, context, options);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    if (longQuestions === "skip") return [];
    throw new RangeError(
      `Cannot use ${
        placeOf(example, index)
      } ("${id}"): ${cause.message}; raise maxLength or shorten the question`,
      {
        cause,
      },
    );
  }
}

function checkAnswers(example: QuestionExample, index: number): void {
  const { id, context, answers } = example;
  for (const { text, start } of answers) {
    const there = context.slice(start, start + text.length);
    if (text.trim() !== "" && there === text) continue;
    throw new RangeError(
      `Cannot use ${
        placeOf(example, index)
      } ("${id}"): its answer "${text}" must stand at ${start} of its context, in UTF-16 units, where "${there}" is`,
    );
  }
}
