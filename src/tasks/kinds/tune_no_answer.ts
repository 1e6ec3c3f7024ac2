import { answerScores } from "../metrics/answers.ts";
import { bestNoAnswerThreshold, type BestThreshold } from "../metrics/no_answer_threshold.ts";
import type { AnswerPrediction, QuestionSet } from "./question_answering.ts";

/**
 * The `noAnswerThreshold` with the best F1 on questions whose answers are known; see {@linkcode bestNoAnswerThreshold}.
 *
 * @param predictions of the task's `predict` for the questions, with any threshold.
 * @throws {RangeError} unless some of the questions have an answer and others have none.
 *
 * @example
 * ```ts no-run
 * const { outputs } = await modelOutputs(model, set);
 * const { threshold } = tuneNoAnswerThreshold(set, task.predict(set, outputs));
 * questionAnswering({ noAnswerThreshold: threshold });
 * ```
 */
export function tuneNoAnswerThreshold(
  { examples }: Pick<QuestionSet, "examples">,
  predictions: readonly AnswerPrediction[],
): BestThreshold {
  const numAnswerable = examples.filter(({ answers }) => answers.length > 0).length;
  if (numAnswerable === 0 || numAnswerable === examples.length) {
    throw new RangeError(
      `Cannot tune noAnswerThreshold: expected questions with an answer and questions without, got ${numAnswerable} and ${
        examples.length - numAnswerable
      }`,
    );
  }
  return bestNoAnswerThreshold(examples.map(({ answers }, i) => {
    const { candidates, noAnswerMargin } = predictions[i]!;
    const best = candidates.find(({ text }) => text !== "")?.text ?? "";
    const references = answers.map(({ text }) => text);
    return {
      margin: noAnswerMargin ?? Infinity,
      answered: answerScores(best, references).f1,
      unanswered: answerScores("", references).f1,
    };
  }));
}
