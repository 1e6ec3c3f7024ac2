import { answerScores } from "../../metrics/answers.ts";
import { bestNoAnswerThreshold, type BestThreshold } from "../../metrics/no_answer_threshold.ts";
import type { Scores } from "../../task.ts";
import { averageAnswers } from "./_answer_averages.ts";
import type { AnswerPrediction, QuestionSet } from "./question_answering.ts";

/**
 * The `noAnswerThreshold` with the best F1 on questions whose answers are known; see {@linkcode bestNoAnswerThreshold}.
 *
 * @param predictions for the questions, with any threshold.
 * @throws {RangeError} unless some of the questions have an answer and others have none.
 *
 * @example
 * ```ts no-run
 * const { threshold } = tuneNoAnswerThreshold(set, await predict(model, set));
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
    const references = answers.map(({ text }) => text);
    return {
      margin: predictions[i]!.noAnswerMargin ?? Infinity,
      answered: answerScores(bestText(predictions[i]!), references).f1,
      unanswered: answerScores("", references).f1,
    };
  }));
}

/**
 * The scores of a task with a `noAnswerThreshold` on questions, of predictions that were made with any threshold.
 *
 * @throws {RangeError} without questions.
 */
export function scoresWithThreshold(
  { examples }: Pick<QuestionSet, "examples">,
  predictions: readonly AnswerPrediction[],
  options: { readonly noAnswerThreshold: number },
): Scores {
  const texts = predictions.map((prediction) =>
    (prediction.noAnswerMargin ?? Infinity) <= options.noAnswerThreshold ? bestText(prediction) : ""
  );
  return averageAnswers(examples, texts, { split: true });
}

/** The best answer, whether it's given or not. */
function bestText({ candidates }: AnswerPrediction): string {
  return candidates.find(({ text }) => text !== "")?.text ?? "";
}
