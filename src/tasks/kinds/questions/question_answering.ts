import type { QuestionExample } from "../../../data/examples/examples.ts";
import { add, crossEntropy, mul, reshape, sub, transpose } from "../../../engine/mod.ts";
import type { PairWindow } from "../../../models/mod.ts";
import { averageAnswers } from "./_answer_averages.ts";
import { prepareQuestions } from "./_prepare_questions.ts";
import { answerReader, chooseAnswer, describeAnswers } from "./_read_answers.ts";
import type { Task } from "../../task.ts";
import type { TaskSet } from "../../task_set.ts";

/** Options of {@linkcode questionAnswering}. */
export interface QuestionAnsweringOptions {
  /** Tokens of a context that a window shares with the one before it; a third of the length of rows by default. */
  readonly stride?: number | undefined;
  /** Tokens of the longest answer; 30 by default. */
  readonly maxAnswerLength?: number;
  /** Candidates of a prediction; 20 by default. */
  readonly nBest?: number;
  /**
   * By how much the score of no answer must exceed that of the best answer, for none to be given. By default every question
   * is answered, as those of SQuAD 1.1 are.
   */
  readonly noAnswerThreshold?: number | undefined;
}

/**
 * Questions with their contexts seen through windows: a row a window, targets being the first and last token of the answer. A
 * question that leaves no room for its context has no row, where such questions are skipped.
 */
export interface QuestionSet extends TaskSet {
  readonly examples: readonly QuestionExample[];
  /** Where each token of a row stands in the context; undefined for what isn't of the context. */
  readonly spans: readonly PairWindow["spans"][];
}

/** An answer that may be right. */
export interface AnswerCandidate {
  /** `context.slice(start, end)`; empty for no answer. */
  readonly text: string;
  /** In UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** The start's and the end's output added. */
  readonly score: number;
  /** Softmax of the candidates' scores. */
  readonly probability: number;
}

/** What a question is answered with. */
export interface AnswerPrediction {
  readonly id: string;
  /** As it stands in the context; empty for no answer. */
  readonly text: string;
  /**
   * By how much the score of no answer exceeds that of the best answer, which `noAnswerThreshold` is compared with; null where
   * the context has no answer to give.
   */
  readonly noAnswerMargin: number | null;
  /** Best first; no answer is among them where the task allows it. */
  readonly candidates: readonly AnswerCandidate[];
}

/**
 * Finds the answer to a question in a text: two classifications over the tokens of a window, which say where the answer
 * begins and ends; both name the first token where the window doesn't hold it (Devlin et al. 2019, arXiv:1810.04805, sections
 * 4.2 and 4.3). Padding takes no part in either. The answer is the span of the best sum of outputs over all windows, cut from the
 * context as it stands. Scores are F1 and exact match as SQuAD has them; where no answer is allowed, also those of the questions
 * that have one, and the share of the others that are left unanswered, each left out where there are no such questions.
 *
 * @throws {RangeError} when an option is out of range.
 */
export function questionAnswering(
  options: QuestionAnsweringOptions = {},
): Task<QuestionExample, AnswerPrediction, QuestionSet> {
  const { stride, maxAnswerLength = 30, nBest = 20, noAnswerThreshold } = options;
  checkCount("maxAnswerLength", maxAnswerLength, 1);
  checkCount("nBest", nBest, 1);
  if (stride !== undefined) checkCount("stride", stride, 0);
  if (Number.isNaN(noAnswerThreshold)) {
    throw new RangeError("Cannot answer questions: noAnswerThreshold must be a number, got NaN");
  }
  return {
    kind: "question-answering",
    labels: ["start", "end"],
    perToken: true,
    metrics: [
      "f1",
      "exactMatch",
      ...(noAnswerThreshold === undefined ? [] : ["hasAnswerF1", "hasAnswerExactMatch", "noAnswerAccuracy"]),
    ],
    ask(question, context) {
      if (context === undefined) throw new TypeError("Cannot answer a question without a context: got none");
      return { id: "0", question, context, answers: [] };
    },
    prepare: (examples, tokenizer, options) =>
      prepareQuestions(examples, tokenizer, { ...options, ...(stride !== undefined && { stride }) }),
    losses(outputs, { targets, inputs }) {
      const attentionMask = inputs.attentionMask!;
      // 0 for a token; finite, as masks are.
      const padding = reshape(mul(sub(attentionMask, 1), 1e30), [...attentionMask.shape, 1]);
      return crossEntropy(transpose(add(outputs, padding)), targets);
    },
    predictor: (set) =>
      answerReader(set, {
        maxAnswerLength,
        nBest,
        finish: (found) =>
          found.map((each, i) => describeAnswers(each, { ...set.examples[i]!, noAnswerThreshold })),
      }),
    scorer: (set) =>
      answerReader(set, {
        maxAnswerLength,
        nBest: 1,
        finish(found) {
          const texts = found.map((each, i) => {
            const { context } = set.examples[i]!;
            return chooseAnswer(each, { context, noAnswerThreshold }).text;
          });
          return averageAnswers(set.examples, texts, { split: noAnswerThreshold !== undefined });
        },
      }),
  };
}

function checkCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(`Cannot answer questions: ${name} must be an integer from ${least}, got ${value}`);
}
